//! What a run tells, and the ways to write it: for a person ([`Text`]), for a program ([`Json`]), for a
//! table ([`Csv`]).

mod csv;
mod json;
mod text;

pub use csv::Csv;
pub use json::Json;
pub use text::{Text, TextConfig};

use crate::evidence::{Evidence, Pair};
use crate::finding::Finding;
use crate::judgement::Verdict;
use crate::traced::Traced;
use crate::{Connection, Contest, Exchange, Failure, Plan, Summary};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Something that happened in a run, in the order in which it did.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run begins.
    Start(&'a Start<'a>),
    /// An address of the name did not answer, and another was tried.
    Attempt(&'a Attempt),
    /// A connection was asked for.
    Connection(&'a Connection),
    /// A request has been decided.
    Exchange(&'a Exchange),
    /// How far the run is, after how long; some ten times a second.
    Progress(&'a Plan, &'a Summary, Duration),
    /// The run has ended.
    Summary(&'a Plan, &'a Summary),
    /// Something has been found out about a target.
    Finding(&'a Finding),
    /// Packets have been traced.
    Traced(&'a Traced),
    /// A comparison begins.
    Contest(&'a ContestStart<'a>),
    /// A pair of exchanges has been decided: its number from 1, and it.
    Pair(u64, &'a Pair),
    /// How far the comparison is; some ten times a second.
    Comparing(&'a Comparing<'a>),
    /// The comparison has ended, and is judged.
    Verdict(&'a Contest, &'a Evidence, &'a Verdict),
}

/// What is known when a comparison begins.
#[derive(Debug)]
pub struct ContestStart<'a> {
    /// What is going to be compared.
    pub contest: &'a Contest,
    /// A's start and B's.
    pub sides: &'a [Start<'a>; 2],
}

/// How far a comparison is.
#[derive(Debug)]
pub struct Comparing<'a> {
    /// What is being done.
    pub stage: &'a str,
    /// How much of it is done, from 0 to 1.
    pub share: f64,
}

/// Writes the events of a run as they come.
pub trait Report {
    /// Writes one event.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;

    /// Hands what is written to the reader: nothing else will be for a while.
    ///
    /// # Errors
    ///
    /// If it can't be.
    fn flush(&mut self) -> io::Result<()>;
}

/// What is known when a run begins.
#[derive(Debug)]
pub struct Start<'a> {
    /// What is going to be done.
    pub plan: &'a Plan,
    /// The address that is measured, if the name has one.
    pub address: Option<SocketAddr>,
    /// This side's address, if it came to that.
    pub local: Option<SocketAddr>,
    /// What reading the monotonic clock costs here, which every figure contains about once.
    pub clock_cost: Duration,
}

impl<'a> Start<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        address: Option<SocketAddr>,
        local: Option<SocketAddr>,
    ) -> Self {
        let clock_cost = clock_cost();
        Self { plan, address, local, clock_cost }
    }
}

/// An address that did not answer.
#[derive(Debug)]
pub struct Attempt {
    /// The protocol's title.
    pub protocol: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// Why it counts as not answering.
    pub failure: Failure,
}

/// The mean of as many readings as take some ten microseconds.
fn clock_cost() -> Duration {
    const READINGS: u32 = 500;
    let start = Instant::now();
    for _ in 0..READINGS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed() / READINGS
}
