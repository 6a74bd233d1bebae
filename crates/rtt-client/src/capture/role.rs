//! The role of a packet in its flow, and its explanation.

use crate::capture::flow::{FlowSide, PacketRecord};
use crate::model::format::counted;

/// The role of a packet in its flow. Some roles have the names of header flags (RFC 9293).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketRole {
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
    /// The sender has no more data, and closes its direction of the connection.
    Fin,
    /// The sender ends the connection immediately, or refuses it.
    Rst,
    /// The sender repeats bytes, a SYN or a FIN.
    Retransmission,
    /// Bytes that arrive after later bytes, because the network changed the order.
    OutOfOrder,
    /// An ICMP error about a packet of the flow.
    IcmpError,
    /// A fragment of an IP packet, but not the first one.
    Fragment,
}

impl PacketRole {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
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
    #[must_use]
    pub fn label(self) -> &'static str {
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

/// A property of a packet that its role does not include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Another reply to a request that already has a reply.
    DuplicateReply,
    /// The data segment also has the FIN flag.
    WithFin,
    /// The retransmitted segment is a SYN or a SYN, ACK.
    OfHandshake,
    /// The RST refuses the connection, which was never open.
    Refusal,
}

impl PacketRecord {
    /// The meaning of the packet, in words.
    #[must_use]
    pub fn explanation(&self) -> String {
        let (sender, receiver) = match self.sender {
            FlowSide::Client => ("the client", "the server"),
            FlowSide::Server => ("the server", "the client"),
        };
        let bytes = self.sizes.payload;
        let mut text = match self.role {
            PacketRole::Syn => "the client requests a connection".to_owned(),
            PacketRole::SynAck => "the server accepts the connection".to_owned(),
            PacketRole::Ack => format!("{sender} acknowledges segments from {receiver}"),
            PacketRole::Request | PacketRole::Reply => {
                format!("{} from {sender} to {receiver}", counted(bytes as u64, "byte", "bytes"))
            }
            PacketRole::Fin => format!("{sender} has no more data to send"),
            PacketRole::Rst if self.detail == Some(Detail::Refusal) => {
                "the server's host refuses the connection".to_owned()
            }
            PacketRole::Rst => format!("{sender} resets the connection"),
            PacketRole::Retransmission if self.detail == Some(Detail::OfHandshake) => {
                format!("{sender} sends a segment of the handshake again")
            }
            PacketRole::Retransmission => format!("{sender} sends a segment again"),
            PacketRole::OutOfOrder => {
                format!("later bytes from {sender} arrived before these bytes")
            }
            PacketRole::IcmpError => self.icmp.map_or_else(String::new, |icmp| icmp.to_string()),
            PacketRole::Fragment => format!("{sender} sends another fragment of an IP packet"),
        };
        text.push_str(match self.detail {
            Some(Detail::DuplicateReply) => ", a duplicate reply",
            Some(Detail::WithFin) => ", with FIN: no more data follows",
            Some(Detail::OfHandshake | Detail::Refusal) | None => "",
        });
        if self.is_truncated {
            text.push_str(", truncated by the capture");
        }
        text
    }
}
