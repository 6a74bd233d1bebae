//! Platform code of TCP for systems other than Linux.

use super::ConnectResult;
use crate::model::traffic::KernelStatistics;
use socket2::{SockAddr, Socket};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The kernel's statistics are not available on this system.
pub(in crate::protocol::tcp) fn statistics(_: &Socket) -> Option<KernelStatistics> {
    None
}

/// Connects `socket` to `peer` within `timeout`. On this system, the stop flag does not interrupt the wait.
pub(in crate::protocol::tcp) fn connect(
    socket: &Socket,
    peer: &SockAddr,
    timeout: Duration,
    _: &AtomicBool,
) -> ConnectResult {
    ConnectResult { result: socket.connect_timeout(peer, timeout), requests: Vec::new() }
}
