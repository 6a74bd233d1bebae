//! What a server did, in numbers.

use std::{fmt, ops::AddAssign};

/// What the server did, counted in datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams that arrived.
    pub received: u64,
    /// Replies that the system took for sending.
    pub answered: u64,
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
        self.too_long += other.too_long;
        self.not_sent += other.not_sent;
        self.receive_errors += other.receive_errors;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, answered, too_long, not_sent, receive_errors } = self;
        write!(
            f,
            "answered {answered} of {received} datagrams; replies too long: {too_long}, \
             not sent: {not_sent}, receive errors: {receive_errors}"
        )
    }
}
