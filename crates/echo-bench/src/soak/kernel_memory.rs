//! The memory that the kernel uses for sockets. It belongs to no process, so it is not in the memory of a server.
//!
//! The kernel counts the pages of all sockets of the machine together, those of the attackers included. It updates the
//! counts in steps of up to one MiB for each CPU (`SK_MEMORY_PCPU_RESERVE`, `include/net/sock.h`).

use anyhow::{Context as _, Result};
use std::fs;

/// The memory for the buffers of sockets in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KernelMemory {
    pub(super) udp: u64,
    pub(super) tcp: u64,
}

impl KernelMemory {
    /// Reads the current values.
    pub(super) fn read() -> Result<Self> {
        let text =
            fs::read_to_string("/proc/net/sockstat").context("reading /proc/net/sockstat")?;
        Self::parse(&text, page_size()).context("/proc/net/sockstat has an unknown format")
    }

    /// The bytes of both protocols.
    pub(super) fn sum(self) -> u64 {
        self.udp + self.tcp
    }

    fn parse(text: &str, page_size: u64) -> Option<Self> {
        let bytes = |protocol| Some(pages(text, protocol)? * page_size);
        Some(Self { udp: bytes("UDP:")?, tcp: bytes("TCP:")? })
    }
}

/// The number of pages of a protocol: the number after the word `mem` (`proc_pid_net(5)`).
fn pages(text: &str, protocol: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(protocol))?;
    line.split_whitespace().skip_while(|word| *word != "mem").nth(1)?.parse().ok()
}

fn page_size() -> u64 {
    /// The page size of most machines, for a system that does not report its own.
    const USUAL: u64 = 4096;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(USUAL)
}

/// The memory for the sockets of this process's cgroup in bytes. The servers and the attackers are in this cgroup.
/// `None`: the system has no cgroup v2 with a memory controller.
pub(super) fn cgroup_socket_memory() -> Option<u64> {
    let path = unified_path(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
    let statistics = fs::read_to_string(format!("/sys/fs/cgroup{path}/memory.stat")).ok()?;
    socket_bytes(&statistics)
}

/// The path of the unified hierarchy (cgroups(7)): the line with the number 0 and without controllers.
fn unified_path(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// The value `sock` of `memory.stat` (Documentation/admin-guide/cgroup-v2.rst).
fn socket_bytes(statistics: &str) -> Option<u64> {
    statistics.lines().find_map(|line| line.strip_prefix("sock "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKSTAT: &str = "sockets: used 21\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 392\n\
                            UDP: inuse 2 mem 3\nUDPLITE: inuse 0\nRAW: inuse 0\n\
                            FRAG: inuse 0 memory 0\n";

    #[test]
    fn pages_of_both_protocols_are_parsed() {
        let memory = KernelMemory::parse(SOCKSTAT, 4096).unwrap();
        assert_eq!(memory, KernelMemory { udp: 3 * 4096, tcp: 392 * 4096 });
        assert_eq!(memory.sum(), 395 * 4096);
    }

    #[test]
    fn unknown_format_has_no_value() {
        for text in ["", "TCP: inuse 1", "TCP: mem 1\n", "TCP: mem x\nUDP: mem 1\n"] {
            assert_eq!(KernelMemory::parse(text, 4096), None, "{text:?}");
        }
    }

    #[test]
    fn memory_of_this_system_is_read() {
        KernelMemory::read().unwrap();
    }

    #[test]
    fn socket_memory_of_a_cgroup_is_parsed() {
        let hybrid = "4:memory:/a\n0::/b/c\n";
        assert_eq!(unified_path(hybrid).as_deref(), Some("/b/c"));
        assert_eq!(unified_path("4:memory:/a\n"), None);
        assert_eq!(socket_bytes("anon 5\nsock 8192\nshmem 1\n"), Some(8192));
        assert_eq!(socket_bytes("anon 5\n"), None);
    }
}
