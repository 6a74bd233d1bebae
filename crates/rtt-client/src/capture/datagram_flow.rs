//! [`DatagramFlow`]: the state of a flow in which each request and each reply is one datagram.

use crate::capture::dissector::{Classification, FlowState, ObservedPacket};
use crate::capture::exchanges::Exchanges;
use crate::capture::exchanges::datagrams::DatagramPairing;
use crate::capture::flow::FlowSide;
use crate::capture::role::{Detail, PacketRole};
use crate::model::protocol::ReplyForm;

/// The state of a flow of datagrams. A datagram from the client is a request. A datagram from the server is a reply. The
/// payload of a reply determines its exchange.
#[derive(Debug)]
pub(crate) struct DatagramFlow {
    pairing: DatagramPairing,
}

impl DatagramFlow {
    /// `reply_forms` are the correct forms of replies to a request.
    pub(crate) fn new(reply_forms: &'static [ReplyForm]) -> Self {
        Self { pairing: DatagramPairing::new(reply_forms) }
    }
}

impl FlowState for DatagramFlow {
    fn add(&mut self, packet: &ObservedPacket<'_>, exchanges: &mut Exchanges) -> Classification {
        let ObservedPacket { sender, time, payload, .. } = *packet;
        match sender {
            FlowSide::Client => {
                let number = self.pairing.add_request(payload, time, exchanges);
                Classification::new(PacketRole::Request, Some(number))
            }
            FlowSide::Server => {
                let reply = self.pairing.add_reply(payload, time, exchanges);
                let classification = Classification::new(PacketRole::Reply, reply.exchange);
                if reply.is_duplicate {
                    return classification.with_detail(Detail::DuplicateReply);
                }
                classification
            }
        }
    }
}
