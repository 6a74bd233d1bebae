//! Load for a server, from one thread: as many exchanges as it takes in some seconds, every reply held
//! against what it has to be.
//!
//! `cargo xtask bench` runs them as processes of their own: `xtask load udp 127.0.0.1:25000 2`.

mod bursts;
mod tcp;
mod udp;

use anyhow::{Context as _, Result, bail};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answered {
    /// Requests that were answered, rightly or not.
    pub(crate) replies: u64,
    /// Those whose answer was not their upper case.
    pub(crate) wrong: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Answered {
    /// Replies a second.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.replies as f64 / self.took.as_secs_f64()
    }
}

/// As one process tells another.
impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.replies, self.wrong, self.took.as_nanos())
    }
}

impl FromStr for Answered {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().context("too few figures")?.context("a figure");
        let (replies, wrong) = (next()?, next()?);
        Ok(Self { replies, wrong, took: Duration::from_nanos(next()?) })
    }
}

/// Runs one load: `udp ADDRESS SIZE`, `bursts ADDRESS SIZE`, `tcp ADDRESS CONNECTIONS DEPTH` or `idle ADDRESS
/// CONNECTIONS`, each with the CPU to run on and for how many milliseconds behind it.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let [kind, address, numbers @ ..] = arguments else { bail!("too few arguments") };
    let address = address.parse()?;
    let numbers: Vec<usize> =
        numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let [numbers @ .., cpu, milliseconds] = &numbers[..] else { bail!("too few arguments") };
    crate::floor::pin(*cpu)?;
    let lasting = Duration::from_millis(*milliseconds as u64);
    if let ("idle", [connections]) = (*kind, numbers) {
        return tcp::idle(address, *connections);
    }
    let answered = match (*kind, numbers) {
        ("udp", [size]) => udp::many_peers(address, *size, lasting)?,
        ("bursts", [size]) => bursts::one_peer(address, *size, lasting)?,
        ("tcp", [connections, depth]) => tcp::connections(address, *connections, *depth, lasting)?,
        _ => bail!("no such load: {arguments:?}"),
    };
    println!("{answered}");
    Ok(())
}

/// What is counted: it begins after a tenth of the time, when everything is warm, and knows its end.
struct Count {
    begins: Instant,
    ends: Instant,
    answered: Answered,
}

impl Count {
    fn of(lasting: Duration) -> Self {
        let begins = Instant::now() + lasting / 10;
        Self { begins, ends: begins + lasting, answered: Answered::default() }
    }

    /// Counts what has been answered just now. Returns whether to go on.
    fn add(&mut self, replies: u64, wrong: u64) -> bool {
        let now = Instant::now();
        if now >= self.begins {
            self.answered.replies += replies;
            self.answered.took = now - self.begins;
        }
        self.answered.wrong += wrong;
        now < self.ends
    }
}
