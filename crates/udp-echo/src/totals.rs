//! What a server did, in numbers.

use echo_service::LogTotals;
use std::ops::AddAssign;

/// What the server did, counted in datagrams. Each that was received is in exactly one of the others, but
/// for `receive_errors`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams that arrived.
    pub received: u64,
    /// Replies that the system took for sending.
    pub answered: u64,
    /// Datagrams from addresses that are not allowed.
    pub refused_network: u64,
    /// Datagrams from a port that only a service would answer at.
    pub refused_port: u64,
    /// Datagrams from or to an address that stands for many hosts or none.
    pub refused_address: u64,
    /// Datagrams that went round between servers.
    pub refused_loop: u64,
    /// Datagrams beyond their source's rate.
    pub refused_rate: u64,
    /// Datagrams without a reply because it would not fit in a datagram.
    pub too_long: u64,
    /// Replies that the system did not take.
    pub not_sent: u64,
    /// Errors that a socket handed up when asked for a datagram: mostly echoes of earlier replies that
    /// nobody waited for.
    pub receive_errors: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.answered += other.answered;
        self.refused_network += other.refused_network;
        self.refused_port += other.refused_port;
        self.refused_address += other.refused_address;
        self.refused_loop += other.refused_loop;
        self.refused_rate += other.refused_rate;
        self.too_long += other.too_long;
        self.not_sent += other.not_sent;
        self.receive_errors += other.receive_errors;
    }
}

impl LogTotals for Totals {
    fn log(&self, when: &'static str) {
        tracing::info!(
            received = self.received,
            answered = self.answered,
            refused_network = self.refused_network,
            refused_port = self.refused_port,
            refused_address = self.refused_address,
            refused_loop = self.refused_loop,
            refused_rate = self.refused_rate,
            too_long = self.too_long,
            not_sent = self.not_sent,
            receive_errors = self.receive_errors,
            "{when}"
        );
    }
}
