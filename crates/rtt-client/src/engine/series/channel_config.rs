//! The configuration of the channels of a series.

use crate::model::protocol::Framing;
use crate::net::system::ReceiveConfig;
use crate::net::transport::OpenConfig;
use crate::plan::Plan;

/// The memory that the kernel counts for a datagram in a receive queue, in addition to twice its length, in bytes. On
/// loopback, a datagram of 64 bytes takes 768 bytes. Many network drivers use a page of 4 KiB, or a half of it, for each packet.
const QUEUED_DATAGRAM_OVERHEAD: usize = 2048;

/// The assumed length of a reply of unknown length, in bytes: the MTU of Ethernet.
const MAX_PACKET_LEN: usize = 1500;

/// The largest receive queue that the client requests, in bytes. The kernel stores the size as a positive number of 32 bits.
const MAX_QUEUE: usize = 1 << 30;

/// The configuration of the channels of a series. The receive queue has space for all replies that the schedule can have in
/// flight, for example because this program or the server pauses.
pub(super) fn config_for(plan: &Plan) -> OpenConfig<'static> {
    let config = OpenConfig::new(&plan.settings);
    if plan.pacing.waits_for_replies() || plan.protocol.framing != Framing::Datagrams {
        return config;
    }
    let replies = usize::try_from(plan.max_in_flight()).unwrap_or(usize::MAX);
    let reply_len =
        QUEUED_DATAGRAM_OVERHEAD + 2 * plan.payload.reply_len().unwrap_or(MAX_PACKET_LEN);
    let queue = replies.saturating_mul(reply_len).min(MAX_QUEUE);
    let receiver = ReceiveConfig { queue: Some(queue), ..config.receiver };
    OpenConfig { receiver, ..config }
}
