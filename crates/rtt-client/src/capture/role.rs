//! The role of a packet in its flow, and its explanation in words.

use crate::capture::flow::{PacketRecord, Side};

/// The role of a packet. The TCP roles are named after the flags in RFC 9293.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The client requests a connection.
    Syn,
    /// The server accepts the connection.
    SynAck,
    /// A segment without data that acknowledges received bytes.
    Ack,
    /// Data from the client.
    Request,
    /// Data from the server.
    Reply,
    /// The sender has no more data: it closes its direction of the connection.
    Fin,
    /// The sender ends the connection at once, or refuses it.
    Rst,
    /// Bytes or a SYN that the sender sends again. `reassembly` has the rule.
    Retransmission,
    /// Bytes that arrive after later bytes, because the network changed the order. `reassembly` has the rule.
    OutOfOrder,
    /// An ICMP error about a packet of the flow.
    IcmpError,
    /// A fragment of an IP packet other than the first one.
    Fragment,
}

impl Role {
    /// The name in JSON. It is part of the interface.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::SynAck => "syn-ack",
            Self::Ack => "ack",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Retransmission => "retransmission",
            Self::OutOfOrder => "out-of-order",
            Self::IcmpError => "icmp-error",
            Self::Fragment => "fragment",
        }
    }

    /// The name in text for people and in the comments of pcapng files.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Syn => "SYN",
            Self::SynAck => "SYN, ACK",
            Self::Ack => "ACK",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::Retransmission => "retransmission",
            Self::OutOfOrder => "out of order",
            Self::IcmpError => "ICMP error",
            Self::Fragment => "fragment",
        }
    }
}

/// What a packet does in addition to its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A second reply to a request that already has one.
    DuplicateReply,
    /// The data segment also carries the FIN flag.
    WithFin,
    /// The retransmitted segment is a SYN or a SYN, ACK.
    OfHandshake,
}

impl PacketRecord {
    /// The meaning of the packet, in words.
    pub(crate) fn explanation(&self) -> String {
        let (sender, receiver) = match self.sender {
            Side::Client => ("the client", "the server"),
            Side::Server => ("the server", "the client"),
        };
        let bytes = self.sizes.payload;
        let mut text = match self.role {
            Role::Syn => "the client requests a connection".to_owned(),
            Role::SynAck => "the server accepts the connection".to_owned(),
            Role::Ack => format!("{sender} acknowledges what {receiver} sent"),
            Role::Request | Role::Reply => format!("{bytes} bytes from {sender} to {receiver}"),
            Role::Fin => format!("{sender} has no more data to send"),
            Role::Rst => format!("{sender} resets the connection"),
            Role::Retransmission if self.detail == Some(Detail::OfHandshake) => {
                format!("{sender} sends a segment of the handshake again")
            }
            Role::Retransmission => format!("{sender} sends a segment again"),
            Role::OutOfOrder => format!("bytes from {sender} arrive after later bytes"),
            Role::IcmpError => self.icmp.map_or_else(String::new, |icmp| icmp.to_string()),
            Role::Fragment => "a later fragment of an IP packet".to_owned(),
        };
        text.push_str(match self.detail {
            Some(Detail::DuplicateReply) => ", a duplicate",
            Some(Detail::WithFin) => ", with FIN: no more data follows",
            Some(Detail::OfHandshake) | None => "",
        });
        if self.is_truncated {
            text.push_str(", truncated by the capture");
        }
        text
    }
}
