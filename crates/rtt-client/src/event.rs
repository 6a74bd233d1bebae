//! The events of a run, and [`Report`], the trait of everything that writes them. Pure.

use crate::analysis::comparison::Verdict;
use crate::analysis::diagnosis::Finding;
use crate::analysis::evidence::{Evidence, Pair};
use crate::analysis::statistics::Summary;
use crate::capture::trace::Trace;
use crate::model::condition::Failure;
use crate::model::exchange::{Connection, Exchange};
use crate::plan::{ComparisonPlan, Plan};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

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
    Trace(&'a Trace),
    /// A comparison begins.
    ComparisonPlan(&'a ComparisonStart<'a>),
    /// A pair of exchanges has been decided: its number from 1, and it.
    Pair(u64, &'a Pair),
    /// How far the comparison is; some ten times a second.
    ComparisonProgress(&'a ComparisonProgress<'a>),
    /// The comparison has ended, and is judged.
    Verdict(&'a ComparisonPlan, &'a Evidence, &'a Verdict),
}

/// What is known when a comparison begins.
#[derive(Debug)]
pub struct ComparisonStart<'a> {
    /// What is going to be compared.
    pub comparison: &'a ComparisonPlan,
    /// A's start and B's.
    pub sides: &'a [Start<'a>; 2],
}

/// How far a comparison is.
#[derive(Debug)]
pub struct ComparisonProgress<'a> {
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
