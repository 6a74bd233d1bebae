//! [`Dissector`] and [`FlowState`]: the interface between the capture and the packets of one protocol. Generic code
//! calls these traits. Each protocol implements them in its folder, in `protocol/*/packets.rs`.
//!
//! A packet can come from any host, so an implementation must check the bounds of every read.

#[cfg(test)]
mod tests;

use crate::capture::exchanges::Exchanges;
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::flow::FlowSide;
use crate::capture::role::{Detail, PacketRole};
use crate::model::protocol::Protocol;
use std::fmt;
use std::time::Duration;

/// Parses the header of one protocol. This header follows the IP header.
pub(crate) trait Dissector: Sync {
    /// The facts about the protocol. Its [`Protocol::ip_numbers`] select the packets that the dissector receives.
    fn protocol(&self) -> &'static Protocol;

    /// The ports of a packet. `None` if the packet does not belong to the protocol, or if it is too short.
    ///
    /// The first 8 bytes after the IP header must be sufficient, because an ICMP error contains at least this part of
    /// the packet that caused it (RFC 792).
    fn ports(&self, packet: IpPayload<'_>) -> Option<Ports>;

    /// The length of the header with its options, in bytes. `None` if the header is invalid, or if its fixed part was
    /// not captured.
    fn header_len(&self, packet: IpPayload<'_>) -> Option<usize>;

    /// The side that sent a packet with this header. `None` if the header does not show it. The header can be truncated.
    fn sender_of(&self, _header: &[u8]) -> Option<FlowSide> {
        None
    }

    /// The state of a new flow. If `lengths` are given, they are the lengths of all requests and replies.
    fn new_flow(&self, lengths: Option<MessageLengths>) -> Box<dyn FlowState>;
}

/// The captured part of a packet after the IP header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IpPayload<'a> {
    /// The protocol number in the IP header.
    pub(crate) ip_protocol: u8,
    pub(crate) bytes: &'a [u8],
}

/// The ports of a packet.
///
/// For a protocol without ports, `source` of a request is the identifier of the client, and `destination` is 0. In a
/// measurement, the local address of the client must contain the identifier as its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) source: u16,
    pub(crate) destination: u16,
}

impl Ports {
    /// The ports from a header whose first two fields are the source port and the destination port.
    pub(crate) fn at_start_of(header: &[u8]) -> Option<Self> {
        Some(Self { source: u16_at(header, 0)?, destination: u16_at(header, 2)? })
    }
}

/// The state of one flow. It determines the roles and the exchanges of the packets.
pub(crate) trait FlowState: fmt::Debug + Send + Sync {
    /// Adds a packet and classifies it.
    fn add(&mut self, packet: &ObservedPacket<'_>, exchanges: &mut Exchanges) -> Classification;

    /// The exchange of an ICMP error. `header` is the quoted part of the packet that caused the error, after its IP
    /// header. If the quote does not identify an exchange, the error belongs to the latest one.
    fn exchange_of_quote(&self, _header: &[u8], exchanges: &Exchanges) -> Option<u64> {
        exchanges.latest()
    }

    /// Whether a packet with this header starts another connection between the same ports. `sender` is the side of the
    /// current connection that sent the packet. In the next connection, it can be the other side.
    fn is_start_of_next_connection(&self, _header: &[u8], _sender: FlowSide) -> bool {
        false
    }

    /// The side that closed the connection first.
    fn closed_by(&self) -> Option<FlowSide> {
        None
    }

    /// Whether the server's host refused the connection, so that it was never open.
    fn is_refused(&self) -> bool {
        false
    }

    /// Whether the server accepted the connection.
    fn was_accepted(&self) -> bool {
        false
    }
}

/// A packet of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObservedPacket<'a> {
    pub(crate) sender: FlowSide,
    pub(crate) time: Duration,
    /// The captured part of the header after the IP header.
    pub(crate) header: &'a [u8],
    /// The captured part of the payload.
    pub(crate) payload: &'a [u8],
    /// The size of the payload on the wire, in bytes. A capture can contain fewer bytes.
    pub(crate) payload_bytes: u64,
}

/// The role of a packet, and its exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classification {
    pub(crate) role: PacketRole,
    pub(crate) detail: Option<Detail>,
    pub(crate) exchange: Option<u64>,
}

impl Classification {
    pub(crate) fn new(role: PacketRole, exchange: Option<u64>) -> Self {
        Self { role, detail: None, exchange }
    }

    pub(crate) fn with_detail(self, detail: Detail) -> Self {
        Self { detail: Some(detail), ..self }
    }
}

impl fmt::Debug for dyn Dissector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dissector({})", self.protocol().name)
    }
}

impl PartialEq for dyn Dissector {
    fn eq(&self, other: &Self) -> bool {
        self.protocol() == other.protocol()
    }
}

impl Eq for dyn Dissector {}

/// The 16-bit integer at `offset`, in network byte order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}
