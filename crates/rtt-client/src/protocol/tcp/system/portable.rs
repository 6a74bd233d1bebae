//! Platform code of TCP for systems other than Linux.

use super::ConnectResult;
use crate::model::traffic::KernelStatistics;
use socket2::{SockAddr, Socket};
use std::time::Duration;

/// The kernel's statistics are not available on this system.
pub(in crate::protocol::tcp) fn statistics(_: &Socket) -> Option<KernelStatistics> {
    None
}

/// Connects `socket` to `peer` within `timeout`.
pub(in crate::protocol::tcp) fn connect(
    socket: &Socket,
    peer: &SockAddr,
    timeout: Duration,
) -> ConnectResult {
    ConnectResult { result: socket.connect_timeout(peer, timeout), requests: Vec::new() }
}
