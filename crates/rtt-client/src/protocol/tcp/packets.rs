//! The packets of TCP: the header of a segment (RFC 9293, section 3.1). The roles of segments are in [`connection`].

mod connection;
#[cfg(test)]
mod tests;

use super::facts::{FACTS, HEADER_LEN};
use crate::capture::dissector::{Dissector, FlowState, IpPayload, Ports};
use crate::capture::exchanges::stream::MessageLengths;
use crate::capture::flow::FlowSide;
use crate::model::protocol::Protocol;
use connection::Connection;

/// The dissector of TCP.
pub(crate) const DISSECTOR: Option<&dyn Dissector> = Some(&Tcp);

struct Tcp;

impl Dissector for Tcp {
    fn protocol(&self) -> &'static Protocol {
        &FACTS
    }

    fn ports(&self, packet: IpPayload<'_>) -> Option<Ports> {
        Ports::at_start_of(packet.bytes)
    }

    fn header_len(&self, packet: IpPayload<'_>) -> Option<usize> {
        // The capture can end within the options. The fields that the analysis uses are sufficient.
        Header::parse(packet.bytes)?;
        let length = usize::from(*packet.bytes.get(12)? >> 4) * 4;
        (length >= HEADER_LEN).then_some(length)
    }

    /// The sender of a SYN is the client. The sender of a SYN, ACK is the server.
    fn sender_of(&self, header: &[u8]) -> Option<FlowSide> {
        match Header::parse(header)? {
            Header { syn: true, ack: true, .. } => Some(FlowSide::Server),
            Header { syn: true, .. } => Some(FlowSide::Client),
            _ => None,
        }
    }

    fn new_flow(&self, lengths: Option<MessageLengths>) -> Box<dyn FlowState> {
        Box::new(Connection::new(lengths))
    }
}

/// The fields of a header that the analysis uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the header")]
struct Header {
    sequence: u32,
    /// The next sequence number that the sender expects from the other side. Valid with the flag `ack`.
    acknowledgement: u32,
    syn: bool,
    ack: bool,
    fin: bool,
    rst: bool,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let flags = *bytes.get(13)?;
        let has_flag = |bit: u8| flags & bit != 0;
        let number = |offset: usize| Some(u32::from_be_bytes(*bytes.get(offset..)?.first_chunk()?));
        Some(Self {
            sequence: number(4)?,
            acknowledgement: number(8)?,
            fin: has_flag(0x01),
            syn: has_flag(0x02),
            rst: has_flag(0x04),
            ack: has_flag(0x10),
        })
    }
}
