//! Pairs of exchanges: one with each side, in random order, drift hitting both alike.

use super::super::RunError;
use super::lane::{Lane, LaneEnd, Once};
use crate::evidence::Pair;
use crate::plan::Contest;
use crate::report::{Comparing, Event, Report};
use crate::{Plan, Summary};
use fastrand::Rng;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long the warm-up takes at most, but for its first pair.
const LONGEST_WARM_UP: Duration = Duration::from_millis(500);

/// How many exchanges in a row one side may leave unanswered before the stage ends: at a time-out of
/// some seconds nobody waits for more.
const MOST_UNANSWERED: u32 = 5;

/// How many pairs there are between two looks at a connection's windows.
const WINDOWS_EVERY: usize = 64;

/// How often progress is told, and how long a pause is not looked up from.
const PROGRESS: Duration = Duration::from_millis(100);

/// How far a stage goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) warm_up: u64,
    pub(super) pairs: u64,
    pub(super) time: Option<Duration>,
}

/// What a stage has come to.
pub(super) struct Made {
    pub(super) warm_up: u64,
    pub(super) pairs: Vec<Pair>,
    pub(super) summaries: [Summary; 2],
    pub(super) lanes: [LaneEnd; 2],
    pub(super) notes: Vec<String>,
}

/// The stages of a comparison, one after the other.
pub(super) struct Stages<'a> {
    contest: &'a Contest,
    addresses: [SocketAddr; 2],
    report: &'a mut dyn Report,
    stop: &'a AtomicBool,
    order: Rng,
    last_progress: Instant,
}

impl<'a> Stages<'a> {
    pub(super) fn new(
        contest: &'a Contest,
        addresses: [SocketAddr; 2],
        report: &'a mut dyn Report,
        stop: &'a AtomicBool,
    ) -> Self {
        let order = Rng::with_seed(contest.seed);
        Self { contest, addresses, report, stop, order, last_progress: Instant::now() }
    }

    /// The main stage: RTTs, each pair told.
    pub(super) fn told_pairs(
        &mut self,
        plans: &[Plan; 2],
        bounds: Bounds,
    ) -> Result<Made, RunError> {
        self.run("pairs", plans, bounds, Once::rtt, true)
    }

    /// An experiment's pairs, of the times that `time` takes from an exchange.
    pub(super) fn pairs(
        &mut self,
        name: &str,
        plans: &[Plan; 2],
        bounds: Bounds,
        time: fn(Once) -> Option<Duration>,
    ) -> Result<Made, RunError> {
        self.run(name, plans, bounds, time, false)
    }

    fn run(
        &mut self,
        name: &str,
        plans: &[Plan; 2],
        bounds: Bounds,
        time: fn(Once) -> Option<Duration>,
        told: bool,
    ) -> Result<Made, RunError> {
        let mut lanes =
            [Lane::open(&plans[0], self.addresses[0])?, Lane::open(&plans[1], self.addresses[1])?];
        let begun = Instant::now();
        let mut warm_up = 0;
        while warm_up < bounds.warm_up && (warm_up == 0 || begun.elapsed() < LONGEST_WARM_UP) {
            if self.pair(&mut lanes, time)?.is_none() || self.hopeless(&lanes).is_some() {
                break;
            }
            warm_up += 1;
        }
        lanes.iter_mut().for_each(Lane::begin_counting);
        let (mut pairs, mut notes) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        while (pairs.len() as u64) < bounds.pairs
            && bounds.time.is_none_or(|time| begun.elapsed() < time)
        {
            if let Some(side) = self.hopeless(&lanes) {
                notes.push(format!("ended early: {side} left its last exchanges unanswered"));
                break;
            }
            let Some(pair) = self.pair(&mut lanes, time)? else { break };
            pairs.push(pair);
            let number = pairs.len() as u64;
            if told {
                self.report.event(&Event::Pair(number, &pair))?;
            }
            if pairs.len().is_multiple_of(WINDOWS_EVERY) {
                lanes.iter_mut().for_each(Lane::look_at_the_windows);
            }
            let by_time = bounds.time.map_or(0.0, |time| begun.elapsed().div_duration_f64(time));
            self.progress(name, by_time.max(share(number, bounds.pairs)))?;
            self.rest()?;
        }
        if self.stop.load(Ordering::Relaxed) && told {
            notes.push("interrupted: fewer pairs than asked for, and no experiments".into());
        }
        let [a, b] = lanes.map(|lane| lane.end(self.stop));
        let ((of_a, a), (of_b, b)) = (a?, b?);
        Ok(Made { warm_up, pairs, summaries: [of_a, of_b], lanes: [a, b], notes })
    }

    /// One exchange with each side; nothing, if they were interrupted.
    fn pair(
        &mut self,
        lanes: &mut [Lane; 2],
        time: fn(Once) -> Option<Duration>,
    ) -> Result<Option<Pair>, RunError> {
        let b_first = self.order.bool();
        let [a, b] = lanes;
        let (first, second) = if b_first { (b, a) } else { (a, b) };
        if self.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(first) = first.exchange(self.stop)? else { return Ok(None) };
        let Some(second) = second.exchange(self.stop)? else { return Ok(None) };
        let (a, b) = if b_first { (second, first) } else { (first, second) };
        Ok(Some(Pair { b_first, a: time(a), b: time(b) }))
    }

    fn hopeless(&self, lanes: &[Lane; 2]) -> Option<&'static str> {
        let sides = lanes.iter().zip(["A", "B"]);
        sides.into_iter().find(|(lane, _)| lane.is_hopeless(MOST_UNANSWERED)).map(|(_, side)| side)
    }

    /// Waits as long as pairs are to be apart.
    fn rest(&mut self) -> Result<(), RunError> {
        let end = Instant::now() + self.contest.sides[0].settings.interval;
        while Instant::now() < end && !self.stop.load(Ordering::Relaxed) {
            self.report.flush()?;
            thread::sleep(end.saturating_duration_since(Instant::now()).min(PROGRESS));
        }
        Ok(())
    }

    /// Tells that so much of a stage is done.
    pub(super) fn tell(&mut self, stage: &str, done: u64, of: u64) -> Result<(), RunError> {
        let share = share(done, of);
        Ok(self.report.event(&Event::Comparing(&Comparing { stage, share }))?)
    }

    fn progress(&mut self, stage: &str, share: f64) -> Result<(), RunError> {
        let now = Instant::now();
        if now.saturating_duration_since(self.last_progress) >= PROGRESS {
            self.last_progress = now;
            self.report.event(&Event::Comparing(&Comparing { stage, share }))?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for a progress bar")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
