//! What Linux reports about a process in `/proc`: memory, open descriptors, CPU time, dropped datagrams.

use anyhow::{Context as _, Result};
use std::fs;
use std::time::Duration;

/// Bytes in a KiB, the unit of `smaps_rollup`.
const KIB: u64 = 1024;

/// The memory of a process that belongs to no file and that it shares with no other process, in bytes.
pub(crate) fn own_memory(process_id: u32) -> Result<u64> {
    let text = read(&format!("/proc/{process_id}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no anonymous memory in smaps_rollup")?.parse::<u64>()? * KIB)
}

/// The number of open files and sockets of a process.
pub(crate) fn open_descriptors(process_id: u32) -> Result<usize> {
    let directory = format!("/proc/{process_id}/fd");
    Ok(fs::read_dir(&directory).with_context(|| format!("reading {directory}"))?.count())
}

/// The CPU time that all threads of a process have used.
pub(crate) fn cpu_time(process_id: u32) -> Result<Duration> {
    let directory = format!("/proc/{process_id}/task");
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(&directory).with_context(|| format!("reading {directory}"))? {
        // The first field is the time on a CPU in nanoseconds (Documentation/scheduler/sched-stats.rst).
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanoseconds = text.split_whitespace().next().context("an empty schedstat")?;
        sum += Duration::from_nanos(nanoseconds.parse()?);
    }
    Ok(sum)
}

/// The number of datagrams to a port of 127.0.0.1 that the kernel dropped, because the receive queue of the
/// socket was full (column `drops` of `/proc/net/udp`).
pub(crate) fn dropped_datagrams(port: u16) -> Result<u64> {
    let text = read("/proc/net/udp")?;
    // 127.0.0.1 as the kernel prints it on a little-endian machine.
    let address = format!("0100007F:{port:04X}");
    let row = text.lines().find(|row| row.split_whitespace().nth(1) == Some(address.as_str()));
    let drops = row.and_then(|row| row.split_whitespace().last());
    Ok(drops.context("the socket is not in /proc/net/udp")?.parse()?)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path}"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn own_process_has_memory_descriptors_and_cpu_time() {
        let id = std::process::id();
        assert!(own_memory(id).unwrap() > 0);
        assert!(open_descriptors(id).unwrap() > 0);
        assert!(cpu_time(id).unwrap() > Duration::ZERO);
    }

    #[test]
    fn bound_socket_has_a_count_of_dropped_datagrams() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(dropped_datagrams(port).unwrap(), 0);
        drop(socket);
    }
}
