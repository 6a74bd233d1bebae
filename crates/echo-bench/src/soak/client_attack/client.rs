//! Runs `rtt-client` and observes its memory and its duration.

use anyhow::{Context as _, Result};
use child_process::Child;
use child_process::workspace::program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two readings of the memory.
const READ_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum number of bytes of output that the test reads. The output of a measurement has less than one MiB.
const MAX_OUTPUT: u64 = 64 << 20;

/// A finished client.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientRun {
    /// The exit status. `None`: a signal ended the client.
    pub(super) status: Option<i32>,
    /// The smallest reported RTT.
    pub(super) fastest: Option<Duration>,
    /// The maximum resident memory in bytes.
    pub(super) memory: u64,
    pub(super) duration: Duration,
}

/// Runs a client with these arguments at the server `address`. Kills it after `max_duration`.
pub(super) fn run(address: &str, arguments: &[&str], max_duration: Duration) -> Result<ClientRun> {
    let mut command = program("rtt-client");
    let Some((protocol, options)) = arguments.split_first() else { anyhow::bail!("no protocol") };
    command.arg(protocol).arg(address).args(options).args(["--format", "json"]);
    let start = Instant::now();
    let child = Child::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let stdout = child.take_stdout().context("stdout is not a pipe")?;
    let has_ended = AtomicBool::new(false);
    let (output, memory) = thread::scope(|scope| {
        let observer = scope.spawn(|| observe(child.id(), start + max_duration, &has_ended));
        let mut text = String::new();
        let output = stdout.take(MAX_OUTPUT).read_to_string(&mut text).map(|_| text);
        has_ended.store(true, Relaxed);
        (output, observer.join())
    });
    let status = child.wait()?.code();
    Ok(ClientRun {
        status,
        fastest: fastest_rtt(&output?),
        memory: memory.unwrap_or(0),
        duration: start.elapsed(),
    })
}

/// Reads the memory of a process until `has_ended`. Kills the process at `deadline`. The process number is valid,
/// because its parent has not yet read the exit status.
fn observe(process: u32, deadline: Instant, has_ended: &AtomicBool) -> u64 {
    let mut memory = 0;
    while !has_ended.load(Relaxed) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        memory = status.ok().and_then(|text| peak_memory(&text)).unwrap_or(memory);
        if Instant::now() > deadline
            && let Ok(number) = i32::try_from(process)
        {
            // After an error, the process has ended.
            let _ = kill(Pid::from_raw(number), Signal::SIGKILL);
        }
        thread::sleep(READ_INTERVAL);
    }
    memory
}

/// The maximum resident memory in bytes (`VmHWM`, `proc_pid_status(5)`).
fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The smallest RTT of all exchanges. A search for one number needs no JSON parser.
fn fastest_rtt(json: &str) -> Option<Duration> {
    let exchanges = json.lines().filter(|line| line.starts_with("{\"type\":\"exchange\""));
    let rtts = exchanges.filter_map(|line| {
        let digits = line.split("\"rtt_ns\":").nth(1)?;
        digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    });
    rtts.min().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fastest_rtt_is_the_minimum_of_all_exchanges() {
        let json = "{\"type\":\"start\"}\n\
                    {\"type\":\"exchange\",\"seq\":1,\"outcome\":\"reply\",\"rtt_ns\":500,\"ttl\":64}\n\
                    {\"type\":\"exchange\",\"seq\":2,\"outcome\":\"lost\"}\n\
                    {\"type\":\"exchange\",\"seq\":3,\"outcome\":\"reply\",\"rtt_ns\":70}\n\
                    {\"type\":\"summary\",\"rtt_ns\":{\"min\":1}}\n";
        assert_eq!(fastest_rtt(json), Some(Duration::from_nanos(70)));
        assert_eq!(fastest_rtt("{\"type\":\"start\"}\n"), None);
    }

    #[test]
    fn peak_memory_is_in_bytes() {
        assert_eq!(peak_memory("Name: a\nVmHWM:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!(peak_memory("Name: a\n"), None);
    }
}
