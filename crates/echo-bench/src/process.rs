//! The CPU on which this process runs, and the resources that a process uses. The values are from `/proc` (Linux).

use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The unit of `smaps_rollup` in bytes.
const KIB: u64 = 1024;

/// Restricts this process to one CPU. Child processes that it starts later inherit the restriction.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut cpus = nix::sched::CpuSet::new();
    cpus.set(cpu)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus)
        .with_context(|| format!("pinning the process to CPU {cpu}"))
}

/// Does nothing: the system chooses the CPU, so the ratios vary more.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_cpu: usize) -> Result<()> {
    Ok(())
}

/// Whether the machine has a second CPU. The result does not depend on [`pin`].
pub(crate) fn has_two_cpus() -> bool {
    Path::new("/sys/devices/system/cpu/cpu1").exists()
}

/// The anonymous memory of a process in bytes: the memory that belongs to no file.
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

/// The sum of the CPU times of all threads of a process. A thread that ends during the call does not count.
pub(crate) fn cpu_time(process_id: u32) -> Result<Duration> {
    let directory = format!("/proc/{process_id}/task");
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(&directory).with_context(|| format!("reading {directory}"))? {
        // The first field is the time on a CPU in nanoseconds (Documentation/scheduler/sched-stats.rst).
        let text = match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => text,
            Err(error) if has_ended(&error) => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {directory}")),
        };
        let nanoseconds = text.split_whitespace().next().context("schedstat is empty")?;
        sum += Duration::from_nanos(nanoseconds.parse()?);
    }
    Ok(sum)
}

/// Whether reading a file of a thread failed because the thread has ended: its directory is missing (`ENOENT`), or the
/// thread ended after the file was opened (`ESRCH`).
fn has_ended(error: &std::io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// The number of datagrams to a port of 127.0.0.1 that the kernel dropped because the socket's receive queue was full.
/// The source is the column `drops` of `/proc/net/udp`.
pub(crate) fn dropped_datagrams(port: u16) -> Result<u64> {
    let text = read("/proc/net/udp")?;
    // The kernel prints 127.0.0.1 in this form on a little-endian machine.
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
    fn cpu_time_ignores_threads_that_end_during_the_call() {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = std::sync::Arc::clone(&stop);
        let starter = std::thread::spawn(move || {
            while !flag.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::spawn(|| {}).join().unwrap();
            }
        });
        for _ in 0..300 {
            cpu_time(std::process::id()).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        starter.join().unwrap();
    }

    #[test]
    fn bound_socket_has_a_count_of_dropped_datagrams() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(dropped_datagrams(port).unwrap(), 0);
        drop(socket);
    }
}
