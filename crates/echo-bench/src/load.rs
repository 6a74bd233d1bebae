//! Load generators. One thread exchanges as many requests and replies with a server as possible, and checks each
//! reply.
//!
//! Each load generator runs as a process: `echo-bench load 127.0.0.1:25000 --cpu 1 --duration 250ms udp 32`.

mod tcp;
mod udp;

use crate::process;
use anyhow::{Context as _, Result, ensure};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Many UDP peers with a few requests of `size` bytes in flight each.
    Udp { size: usize },
    /// One UDP peer that sends and receives many datagrams of `size` bytes with each system call.
    Bursts { size: usize },
    /// TCP connections with `depth` requests in flight each.
    Tcp { connections: usize, depth: usize },
    /// TCP connections that stay idle after one request each.
    Idle { connections: usize },
}

/// One run of a load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) address: SocketAddr,
    pub(crate) cpu: Option<usize>,
    /// The time in which replies are counted. A warm-up of a tenth of this time comes first. [`Load::Idle`] has
    /// no such time.
    pub(crate) duration: Duration,
    pub(crate) load: Load,
}

impl Run {
    /// The command-line arguments of `echo-bench` for this run.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["load".to_owned(), self.address.to_string()];
        if let Some(cpu) = self.cpu {
            arguments.extend(["--cpu".to_owned(), cpu.to_string()]);
        }
        arguments.extend(["--duration".to_owned(), format!("{}ms", self.duration.as_millis())]);
        let (name, numbers) = match self.load {
            Load::Udp { size } => ("udp", vec![size]),
            Load::Bursts { size } => ("bursts", vec![size]),
            Load::Tcp { connections, depth } => ("tcp", vec![connections, depth]),
            Load::Idle { connections } => ("idle", vec![connections]),
        };
        arguments.push(name.to_owned());
        arguments.extend(numbers.iter().map(ToString::to_string));
        arguments
    }
}

/// The result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LoadResult {
    /// The number of replies, correct or not.
    pub(crate) replies: u64,
    /// The number of replies that differ from the request in upper case. For TCP: the number of reads with a wrong
    /// byte.
    pub(crate) wrong: u64,
    /// The time after the warm-up.
    pub(crate) elapsed: Duration,
}

impl LoadResult {
    /// Replies per second.
    #[expect(clippy::cast_precision_loss, reason = "the number is far below 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.replies as f64 / self.elapsed.as_secs_f64()
    }
}

/// The format for the parent process: replies, wrong replies, and nanoseconds.
impl fmt::Display for LoadResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.replies, self.wrong, self.elapsed.as_nanos())
    }
}

impl FromStr for LoadResult {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let mut next = || {
            let number = numbers.next().context("the result of a load has too few numbers")?;
            number.context("the result of a load contains something other than numbers")
        };
        let (replies, wrong) = (next()?, next()?);
        Ok(Self { replies, wrong, elapsed: Duration::from_nanos(next()?) })
    }
}

/// Runs a load generator and prints its result.
pub(crate) fn run(run: &Run) -> Result<()> {
    if let Some(cpu) = run.cpu {
        process::pin(cpu)?;
    }
    let result = match run.load {
        Load::Udp { size } => udp::run(run.address, size, run.duration)?,
        Load::Bursts { size } => {
            ensure!(size > 0, "a burst needs datagrams of at least one byte");
            udp::run_bursts(run.address, size, run.duration)?
        }
        Load::Tcp { connections, depth } => {
            ensure!(depth > 0, "each connection needs at least one request in flight");
            tcp::run(run.address, connections, depth, run.duration)?
        }
        Load::Idle { connections } => return tcp::hold_idle(run.address, connections),
    };
    println!("{result}");
    Ok(())
}

/// The state of a load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Running,
    Finished,
}

/// Counts the replies after the warm-up.
struct Counter {
    start: Instant,
    end: Instant,
    result: LoadResult,
}

impl Counter {
    /// Starts the warm-up, which takes a tenth of `duration`.
    fn new(duration: Duration) -> Self {
        let start = Instant::now() + duration / 10;
        Self { start, end: start + duration, result: LoadResult::default() }
    }

    /// Counts replies that have just arrived. Wrong replies count during the warm-up, too.
    fn add(&mut self, replies: u64, wrong: u64) -> Progress {
        let now = Instant::now();
        if now >= self.start {
            self.result.replies += replies;
            self.result.elapsed = now - self.start;
        }
        self.result.wrong += wrong;
        if now < self.end { Progress::Running } else { Progress::Finished }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_result_can_be_parsed() {
        let result = LoadResult { replies: 3, wrong: 1, elapsed: Duration::from_millis(2) };
        assert_eq!(result.to_string().parse::<LoadResult>().unwrap(), result);
        assert!("3 1".parse::<LoadResult>().is_err());
        assert!("3 1 x".parse::<LoadResult>().is_err());
    }

    #[test]
    fn only_wrong_replies_are_counted_in_the_warm_up() {
        let mut counter = Counter::new(Duration::from_hours(1));
        assert_eq!(counter.add(5, 2), Progress::Running);
        assert_eq!((counter.result.replies, counter.result.wrong), (0, 2));
        let mut counter = Counter::new(Duration::ZERO);
        assert_eq!(counter.add(5, 0), Progress::Finished);
        assert_eq!(counter.result.replies, 5);
    }
}
