//! The memory and the descriptors of a server during a soak test.

use crate::process::{open_descriptors, own_memory};
use crate::soak::server::SoakedServer;
use anyhow::Result;

/// The maximum growth of a server's memory after the first quarter of the test, in bytes. 2 MiB are for the buffers of
/// a UDP socket. Their pages count as memory only after a datagram has filled them. 256 KiB are a reserve.
const MAX_GROWTH: u64 = (2 << 20) + (256 << 10);

/// The resources that a server uses at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerState {
    /// The anonymous memory in bytes.
    memory: u64,
    pub(super) descriptors: usize,
}

impl ServerState {
    pub(super) fn read(server: &SoakedServer) -> Result<Self> {
        let process_id = server.process_id();
        Ok(Self::new(own_memory(process_id)?, open_descriptors(process_id)?))
    }

    pub(super) fn new(memory: u64, descriptors: usize) -> Self {
        Self { memory, descriptors }
    }
}

/// The states of a server at four moments of the test.
pub(super) struct Course {
    pub(super) before: ServerState,
    pub(super) after_quarter: ServerState,
    pub(super) at_end: ServerState,
    /// The state after the server has had time to close the connections of all clients.
    pub(super) settled: ServerState,
}

/// Prints the header of the table.
pub(super) fn print_header() {
    println!("\n{:<10}{:>43}{:>21}", "", "own memory, KiB", "descriptors");
    println!(
        "{:<10}{:>10}{:>13}{:>10}{:>10}{:>11}{:>10}",
        "", "before", "at quarter", "at end", "settled", "before", "settled"
    );
}

impl Course {
    /// Prints the row of a server and returns the failures.
    pub(super) fn print(&self, name: &str) -> Vec<String> {
        let kib = |state: ServerState| state.memory / 1024;
        println!(
            "{name:<10}{:>10}{:>13}{:>10}{:>10}{:>11}{:>10}",
            kib(self.before),
            kib(self.after_quarter),
            kib(self.at_end),
            kib(self.settled),
            self.before.descriptors,
            self.settled.descriptors
        );
        self.failures(name)
    }

    fn failures(&self, name: &str) -> Vec<String> {
        let mut failures = Vec::new();
        let growth = self.at_end.memory.saturating_sub(self.after_quarter.memory);
        if growth > MAX_GROWTH {
            failures.push(format!(
                "the memory of {name} grew by {growth} bytes after the first quarter (limit {MAX_GROWTH})"
            ));
        }
        let (before, settled) = (self.before.descriptors, self.settled.descriptors);
        if settled != before {
            failures.push(format!(
                "{name} had {before} descriptors before the test and has {settled} after it"
            ));
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_growth_and_descriptors_left_open_are_failures() {
        let state = ServerState::new;
        let course = |at_end, settled| Course {
            before: state(0, 9),
            after_quarter: state(MAX_GROWTH, 50),
            at_end,
            settled,
        };
        let failures = |at_end, settled| course(at_end, settled).failures("server").len();
        assert_eq!(failures(state(2 * MAX_GROWTH, 50), state(0, 9)), 0);
        assert_eq!(failures(state(2 * MAX_GROWTH + 1, 50), state(0, 9)), 1);
        assert_eq!(failures(state(0, 50), state(0, 10)), 1);
    }
}
