//! [`ConnectionStatistics`]: the statistics of the connections of a series.

use crate::analysis::statistics::Distribution;
use crate::model::receive_queue::{ReceiveDrops, ReceiveQueue};
use crate::model::traffic::KernelStatistics;
use crate::net::limitation::Limitation;

/// The statistics of the connections of a series.
#[derive(Debug)]
pub(in crate::engine::series) struct ConnectionStatistics {
    pub(in crate::engine::series) kernel_statistics: Option<KernelStatistics>,
    /// The replies that the receive queue of this host dropped, if the system reports it.
    pub(in crate::engine::series) receive_drops: Option<ReceiveDrops>,
    /// The receive queue of the last channel.
    pub(in crate::engine::series) receive_queue: Option<ReceiveQueue>,
    /// The time from the client's close of a connection to the server's close, for each connection.
    pub(in crate::engine::series) close_durations: Distribution,
    /// The number of replies after which the server closes a connection.
    pub(in crate::engine::series) reply_limit: Option<u64>,
    pub(in crate::engine::series) limitations: Vec<Limitation>,
    /// See [`ClosedChannel::has_extra_bytes`](crate::engine::channel::ClosedChannel).
    pub(in crate::engine::series) has_extra_bytes: bool,
}
