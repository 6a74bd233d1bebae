//! The packets of UDP. Each datagram is a request or a reply.

use super::facts::{FACTS, HEADER_LEN};
use crate::capture::datagram_flow::DatagramFlow;
use crate::capture::dissector::{Dissector, FlowState, IpPayload, Ports};
use crate::capture::exchanges::stream::MessageLengths;
use crate::model::protocol::Protocol;

/// The dissector of UDP.
pub(crate) const DISSECTOR: Option<&dyn Dissector> = Some(&Udp);

struct Udp;

impl Dissector for Udp {
    fn protocol(&self) -> &'static Protocol {
        &FACTS
    }

    fn ports(&self, packet: IpPayload<'_>) -> Option<Ports> {
        Ports::at_start_of(packet.bytes)
    }

    fn header_len(&self, packet: IpPayload<'_>) -> Option<usize> {
        (packet.bytes.len() >= HEADER_LEN).then_some(HEADER_LEN)
    }

    fn new_flow(&self, _: Option<MessageLengths>) -> Box<dyn FlowState> {
        Box::new(DatagramFlow::new(FACTS.reply_forms()))
    }
}
