//! Pairs of exchanges: one with each side, in random order, drift hitting both alike.

use super::side::{Once, SideResult, SideRunner};
use crate::analysis::evidence::Pair;
use crate::analysis::statistics::Summary;
use crate::engine::run::RunError;
use crate::event::{ComparisonProgress, ComparisonStage, Event, Report};
use crate::plan::Plan;
use crate::plan::{ComparisonPlan, MAX_PAIRS};
use fastrand::Rng;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long the warm-up takes at most, but for its first pair.
const LONGEST_WARM_UP: Duration = Duration::from_millis(500);

/// Pairs before those that count, in a round that is not the first.
pub(super) const SHORT_WARM_UP: u64 = 5;

/// How many exchanges in a row one side may leave unanswered before the stage ends: at a time-out of
/// some seconds nobody waits for more.
const MOST_UNANSWERED: u32 = 5;

/// How many pairs there are between two looks at a connection's windows.
const WINDOWS_EVERY: usize = 64;

/// How often progress is told, and how long a pause is not looked up from.
const PROGRESS: Duration = Duration::from_millis(100);

/// How far a stage goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExperimentLimits {
    /// How many times both sides are opened anew, by turns.
    pub(super) rounds: u32,
    /// Pairs before those that count, in the first round.
    pub(super) warm_up: u64,
    pub(super) pairs: u64,
    pub(super) time: Option<Duration>,
}

/// What a stage has come to.
pub(super) struct ExperimentResult {
    pub(super) warm_up: u64,
    pub(super) pairs: Vec<Pair>,
    pub(super) summaries: [Summary; 2],
    pub(super) sides: [SideResult; 2],
    pub(super) notes: Vec<String>,
}

/// A stage while it runs.
struct Making {
    told: bool,
    bounds: ExperimentLimits,
    begun: Instant,
    pairs: Vec<Pair>,
    warm_up: u64,
}

impl Making {
    /// How much of the stage is done, from 0 to 1.
    fn done(&self) -> f64 {
        let time = self.bounds.time.map_or(0.0, |time| self.begun.elapsed().div_duration_f64(time));
        time.max(share(self.pairs.len() as u64, self.bounds.pairs))
    }

    /// When it is over at the latest, if there is such a time.
    fn end(&self) -> Option<Instant> {
        Some(self.begun + self.bounds.time?)
    }

    /// Whether that round has its share of pairs or time.
    fn is_over(&self, round: u32) -> bool {
        self.done() >= f64::from(round + 1) / f64::from(self.bounds.rounds)
    }
}

fn hopeless_side(sides: &[SideRunner; 2]) -> Option<&'static str> {
    let mut sides = sides.iter().zip(["A", "B"]);
    sides.find(|(lane, _)| lane.is_unreachable(MOST_UNANSWERED)).map(|(_, side)| side)
}

/// The stages of a comparison, one after the other.
pub(super) struct Interleaver<'a> {
    comparison: &'a ComparisonPlan,
    addresses: [SocketAddr; 2],
    report: &'a mut dyn Report,
    stop: &'a AtomicBool,
    order: Rng,
    last_progress: Instant,
}

impl<'a> Interleaver<'a> {
    pub(super) fn new(
        comparison: &'a ComparisonPlan,
        addresses: [SocketAddr; 2],
        report: &'a mut dyn Report,
        stop: &'a AtomicBool,
    ) -> Self {
        let order = Rng::with_seed(comparison.seed);
        Self { comparison, addresses, report, stop, order, last_progress: Instant::now() }
    }

    /// The main stage: RTTs, each pair told.
    pub(super) fn reported_pairs(
        &mut self,
        plans: &[Plan; 2],
        bounds: ExperimentLimits,
    ) -> Result<ExperimentResult, RunError> {
        self.run(ComparisonStage::Pairs, plans, bounds, Once::rtt, true)
    }

    /// An experiment's pairs, of the times that `time` takes from an exchange.
    pub(super) fn pairs(
        &mut self,
        stage: ComparisonStage,
        plans: &[Plan; 2],
        bounds: ExperimentLimits,
        time: fn(Once) -> Option<Duration>,
    ) -> Result<ExperimentResult, RunError> {
        self.run(stage, plans, bounds, time, false)
    }

    fn run(
        &mut self,
        stage: ComparisonStage,
        plans: &[Plan; 2],
        bounds: ExperimentLimits,
        time: fn(Once) -> Option<Duration>,
        told: bool,
    ) -> Result<ExperimentResult, RunError> {
        let mut sides = [0, 1].map(|side| SideRunner::new(&plans[side], self.addresses[side]));
        let mut made =
            Making { told, bounds, begun: Instant::now(), pairs: Vec::new(), warm_up: 0 };
        let mut notes = Vec::new();
        let mut unreachable = None;
        for round in 0..bounds.rounds {
            let is_over = made.is_over(round) || self.stop.load(Ordering::Relaxed);
            if is_over || unreachable.is_some() {
                break;
            }
            // Whoever is opened later can be at an advantage, so they take turns.
            for place in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                sides[place].open()?;
            }
            self.round(stage, round, &mut sides, time, &mut made)?;
            unreachable = hopeless_side(&sides);
            for lane in &mut sides {
                lane.close(self.stop)?;
            }
        }
        if let Some(side) = unreachable.filter(|_| told && !made.pairs.is_empty()) {
            notes.push(format!("Ended early: side {side} left its last exchanges unanswered."));
        }
        if told && made.pairs.len() as u64 == MAX_PAIRS {
            notes.push("Ended early: no more pairs are kept.".to_owned());
        }
        let [(of_a, a), (of_b, b)] = sides.map(SideRunner::end);
        let Making { warm_up, pairs, .. } = made;
        Ok(ExperimentResult { warm_up, pairs, summaries: [of_a, of_b], sides: [a, b], notes })
    }

    /// A warm-up, and then pairs that count, until the round is over.
    fn round(
        &mut self,
        stage: ComparisonStage,
        round: u32,
        sides: &mut [SideRunner; 2],
        time: fn(Once) -> Option<Duration>,
        made: &mut Making,
    ) -> Result<(), RunError> {
        let begun = Instant::now();
        let warm_up = if round == 0 { made.bounds.warm_up } else { SHORT_WARM_UP };
        for done in 0..warm_up {
            if done > 0 && begun.elapsed() >= LONGEST_WARM_UP {
                break;
            }
            if self.pair(sides, time)?.is_none() || hopeless_side(sides).is_some() {
                return Ok(());
            }
            made.warm_up += 1;
        }
        sides.iter_mut().for_each(SideRunner::begin_counting);
        while !made.is_over(round) && hopeless_side(sides).is_none() {
            let Some(pair) = self.pair(sides, time)? else { break };
            made.pairs.push(pair);
            let number = made.pairs.len() as u64;
            if made.told {
                self.report.event(&Event::Pair { number, pair: &pair })?;
            }
            if made.pairs.len().is_multiple_of(WINDOWS_EVERY) {
                sides.iter_mut().for_each(SideRunner::look_at_the_windows);
            }
            self.progress(stage, made.done())?;
            if made.told && !made.is_over(round) {
                self.rest(made.end())?;
            }
        }
        Ok(())
    }

    /// One exchange with each side; nothing, if they were interrupted.
    fn pair(
        &mut self,
        sides: &mut [SideRunner; 2],
        time: fn(Once) -> Option<Duration>,
    ) -> Result<Option<Pair>, RunError> {
        let b_first = self.order.bool();
        let [a, b] = sides;
        let (first, second) = if b_first { (b, a) } else { (a, b) };
        if self.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(first) = first.exchange(self.stop)? else { return Ok(None) };
        let Some(second) = second.exchange(self.stop)? else { return Ok(None) };
        let (a, b) = if b_first { (second, first) } else { (first, second) };
        Ok(Some(Pair { b_first, a: time(a), b: time(b) }))
    }

    /// Waits as long as pairs are to be apart.
    fn rest(&mut self, end_of_stage: Option<Instant>) -> Result<(), RunError> {
        let end = Instant::now() + self.comparison.sides[0].settings.interval;
        let end = end_of_stage.map_or(end, |of_stage| of_stage.min(end));
        while Instant::now() < end && !self.stop.load(Ordering::Relaxed) {
            self.report.flush()?;
            thread::sleep(end.saturating_duration_since(Instant::now()).min(PROGRESS));
        }
        Ok(())
    }

    /// Tells that so much of a stage is done.
    pub(super) fn tell(
        &mut self,
        stage: ComparisonStage,
        done: u64,
        of: u64,
    ) -> Result<(), RunError> {
        let share = share(done, of);
        Ok(self.report.event(&Event::ComparisonProgress(ComparisonProgress { stage, share }))?)
    }

    fn progress(&mut self, stage: ComparisonStage, share: f64) -> Result<(), RunError> {
        let now = Instant::now();
        if now.saturating_duration_since(self.last_progress) >= PROGRESS {
            self.last_progress = now;
            self.report.event(&Event::ComparisonProgress(ComparisonProgress { stage, share }))?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for a progress bar")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
