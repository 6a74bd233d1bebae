//! What a server did, in numbers.

use std::{fmt, io, ops::AddAssign};

/// What the server did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections that were accepted.
    pub connections: u64,
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

/// How a connection ended, and what it carried.
pub(crate) struct Ended {
    pub(crate) bytes_received: u64,
    pub(crate) bytes_answered: u64,
    pub(crate) result: io::Result<()>,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.bytes_received += other.bytes_received;
        self.bytes_answered += other.bytes_answered;
        self.broken += other.broken;
        self.cut += other.cut;
        self.accept_errors += other.accept_errors;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, bytes_received, bytes_answered, broken, cut, accept_errors } = self;
        write!(
            f,
            "answered {bytes_received} bytes with {bytes_answered} on {connections} connections; \
             broken: {broken}, cut at the end: {cut}, not accepted: {accept_errors}"
        )
    }
}
