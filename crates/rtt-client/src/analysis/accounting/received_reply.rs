//! [`ReceivedReply`]: a message that has arrived, with its timestamps and the report of the server.

use crate::model::exchange::Retransmitted;
use crate::plan::payload::ServerReport;
use bytes::Bytes;
use echo_core::Stamp;
use std::time::SystemTime;

/// The maximum number of bytes of a wrong reply that are stored. They are enough to recognise the service.
pub(super) const MAX_WRONG_REPLY_LEN: usize = 1024;

/// A message that has arrived. It can be a reply.
#[derive(Debug)]
pub(crate) struct ReceivedReply {
    /// The number of the request to which the message belongs, if it is known.
    pub(crate) seq: Option<u64>,
    /// The time at which the program had the last byte.
    pub(crate) received: Stamp,
    /// The time at which the program had the first byte. Absent if the message is a datagram.
    pub(crate) first_byte: Option<Stamp>,
    /// The time at which the packet arrived in the kernel.
    pub(crate) timestamp: Option<SystemTime>,
    /// The hop limit of the packet, if the transport reads it.
    pub(crate) hop_limit: Option<u8>,
    /// The number of replies that this host's receive queue had dropped when the packet arrived, if the system reports it.
    pub(crate) receive_drops: Option<u64>,
    /// The report of the server.
    pub(crate) report: ServerReport,
    /// If the exchange is a handshake: the packets of the handshake that were sent again, if the system reports it.
    pub(crate) retransmitted: Option<Retransmitted>,
    pub(crate) bytes: Bytes,
}

/// A copy of the first [`MAX_WRONG_REPLY_LEN`] bytes of a wrong reply. The copy uses no memory for the other bytes.
pub(crate) fn beginning_of(wrong_reply: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&wrong_reply[..wrong_reply.len().min(MAX_WRONG_REPLY_LEN)])
}

impl ReceivedReply {
    /// Whether the server reported a time that is longer than the RTT. The request was sent at `sent`.
    pub(super) fn has_impossible_report(&self, sent: Stamp) -> bool {
        let rtt = self.received.since(&sent);
        let limit_delay = self.report.version2().map(|report| report.limit_delay);
        let server = self.report.timing().map(|timing| timing.server);
        [limit_delay, server].into_iter().flatten().any(|reported| reported > rtt)
    }
}
