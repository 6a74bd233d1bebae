//! What a server did, in numbers.

use echo_service::LogTotals;
use std::ops::AddAssign;

/// What the server did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that were let in.
    pub connections: u64,
    /// Connections closed at once, because their address is not allowed.
    pub refused_network: u64,
    /// Connections closed at once, because there were as many as there may be.
    pub refused_in_all: u64,
    /// Connections closed at once, because their source had as many as it may have.
    pub refused_of_source: u64,
    /// Connections closed because they had said nothing for long.
    pub idle: u64,
    /// Connections cut because they did not take their replies, or did not finish a timed message.
    pub stalled: u64,
    /// Times that reading waited because a source was beyond its rate.
    pub delayed: u64,
    /// Bytes of text that arrived.
    pub bytes_received: u64,
    /// Bytes of answer that the system took for sending.
    pub bytes_answered: u64,
    /// Connections that failed before both sides had ended them: mostly resets by the peer.
    pub broken: u64,
    /// Connections that were still busy when the server ended, and were cut.
    pub cut: u64,
    /// Connections that could not be accepted.
    pub accept_errors: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.refused_network += other.refused_network;
        self.refused_in_all += other.refused_in_all;
        self.refused_of_source += other.refused_of_source;
        self.idle += other.idle;
        self.stalled += other.stalled;
        self.delayed += other.delayed;
        self.bytes_received += other.bytes_received;
        self.bytes_answered += other.bytes_answered;
        self.broken += other.broken;
        self.cut += other.cut;
        self.accept_errors += other.accept_errors;
    }
}

impl LogTotals for Totals {
    fn log(&self, when: &'static str) {
        tracing::info!(
            connections = self.connections,
            refused_network = self.refused_network,
            refused_in_all = self.refused_in_all,
            refused_of_source = self.refused_of_source,
            idle = self.idle,
            stalled = self.stalled,
            delayed = self.delayed,
            bytes_received = self.bytes_received,
            bytes_answered = self.bytes_answered,
            broken = self.broken,
            cut = self.cut,
            accept_errors = self.accept_errors,
            "{when}"
        );
    }
}
