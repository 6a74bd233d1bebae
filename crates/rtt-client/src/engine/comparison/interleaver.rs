//! Measures pairs: one exchange with each side, in random order. A temporary disturbance, such as a busy machine, then
//! affects both sides equally.

use super::side::{ExchangeTimes, SideResult, SideRunner};
use crate::analysis::evidence::Pair;
use crate::engine::PROGRESS_INTERVAL;
use crate::engine::run::RunError;
use crate::engine::series::RunPosition;
use crate::event::{ComparisonProgress, ComparisonStage, Event, Report};
use crate::model::format::counted;
use crate::net::system::MAX_PAUSE;
use crate::plan::{ComparisonPlan, MAX_PAIRS, Plan};
use fastrand::Rng;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest duration of the warm-up in a round. If the first pair takes longer, the warm-up ends after this pair.
const MAX_WARM_UP: Duration = Duration::from_millis(500);

/// The usual number of warm-up pairs. Warm-up pairs do not count. The first round of the main measurement has more
/// warm-up pairs.
pub(super) const SHORT_WARM_UP: u64 = 5;

/// The experiment ends if this number of exchanges in a row with one side have no correct reply. Each of them can take
/// a whole timeout.
const MAX_MISSING_IN_A_ROW: u32 = 5;

/// The number of pairs from one observation of the windows of the connections to the next.
const PAIRS_PER_OBSERVATION: usize = 64;

/// The names of the sides in notes.
const SIDE_NAMES: [&str; 2] = ["A", "B"];

/// The limits of an experiment.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExperimentLimits {
    /// The number of rounds. Each round opens new connections to both sides.
    pub(super) rounds: u32,
    /// The number of warm-up pairs in the first round. They do not count.
    pub(super) warm_up: u64,
    /// The largest number of counted pairs.
    pub(super) pairs: u64,
    /// The largest duration of all rounds together.
    pub(super) time: Option<Duration>,
}

/// The result of an experiment.
pub(super) struct ExperimentResult {
    /// The number of warm-up pairs. They do not count.
    pub(super) warm_up: u64,
    pub(super) pairs: Vec<Pair>,
    pub(super) sides: [SideResult; 2],
    /// Whether the experiment ended early because a side did not reply.
    pub(super) ended_without_replies: bool,
    pub(super) notes: Vec<String>,
}

/// Selects the duration that an experiment compares.
type SelectTime = fn(ExchangeTimes) -> Option<Duration>;

/// An experiment while it runs.
struct Experiment {
    stage: ComparisonStage,
    select: SelectTime,
    limits: ExperimentLimits,
    start: Instant,
    pairs: Vec<Pair>,
    warm_up: u64,
}

impl Experiment {
    /// Whether the experiment measures the pairs for the verdict. Each of these pairs is reported, and the requested
    /// pause separates them.
    fn is_main(&self) -> bool {
        self.stage == ComparisonStage::Pairs
    }

    /// The completed share of the experiment, from 0 to 1.
    fn progress(&self) -> f64 {
        let time = self.limits.time;
        let time = time.map_or(0.0, |time| self.start.elapsed().div_duration_f64(time));
        time.max(share(self.pairs.len() as u64, self.limits.pairs))
    }

    /// The latest end of the experiment, if its time is limited.
    fn deadline(&self) -> Option<Instant> {
        Some(self.start + self.limits.time?)
    }

    /// Whether the experiment is over.
    fn is_over(&self) -> bool {
        !self.pairs.is_empty() && self.progress() >= 1.0
    }

    /// The latest end of the round with this index, whose warm-up is over now. The rounds that are left share the time that
    /// is left.
    fn round_end(&self, round: u32) -> Option<Instant> {
        let now = Instant::now();
        let left = self.deadline()?.saturating_duration_since(now);
        Some(now + left / (self.limits.rounds - round))
    }

    /// Whether the round with this index is over. A round ends when its share of the pairs is measured, or at `end`. The
    /// warm-up can take all the time. An experiment measures at least one pair even then.
    fn round_is_over(&self, round: u32, end: Option<Instant>) -> bool {
        let rounds = f64::from(round + 1) / f64::from(self.limits.rounds);
        let has_pairs = share(self.pairs.len() as u64, self.limits.pairs) >= rounds;
        has_pairs || (!self.pairs.is_empty() && end.is_some_and(|end| Instant::now() >= end))
    }
}

/// Runs the experiments of a comparison, one after another.
pub(super) struct Interleaver<'a> {
    comparison: &'a ComparisonPlan,
    addresses: [SocketAddr; 2],
    report: &'a mut dyn Report,
    stop: &'a AtomicBool,
    /// The random order within the pairs.
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

    /// Measures the pairs for the verdict, and reports each of them.
    pub(super) fn measure_main_pairs(
        &mut self,
        plans: &[Plan; 2],
        limits: ExperimentLimits,
    ) -> Result<ExperimentResult, RunError> {
        self.measure(ComparisonStage::Pairs, plans, limits, ExchangeTimes::rtt)
    }

    /// Measures the pairs of an experiment. `select` selects the compared duration.
    pub(super) fn measure(
        &mut self,
        stage: ComparisonStage,
        plans: &[Plan; 2],
        limits: ExperimentLimits,
        select: SelectTime,
    ) -> Result<ExperimentResult, RunError> {
        let mut sides = [0, 1].map(|side| SideRunner::new(&plans[side], self.addresses[side]));
        let start = Instant::now();
        let mut experiment =
            Experiment { stage, select, limits, start, pairs: Vec::new(), warm_up: 0 };
        let mut unreachable = None;
        for round in 0..limits.rounds {
            if experiment.is_over() || self.is_stopped() || unreachable.is_some() {
                break;
            }
            let is_first = experiment.is_main() && round == 0;
            let position = if is_first { RunPosition::Start } else { RunPosition::Middle };
            // The connection that is opened later can be faster, so the order alternates between rounds.
            for side in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                sides[side].open(position, self.stop)?;
            }
            self.round(round, &mut sides, &mut experiment)?;
            unreachable = unreachable_side(&sides);
            for side in &mut sides {
                side.close(self.stop)?;
            }
        }
        let mut notes = notes(&experiment, unreachable);
        for (side, name) in sides.iter().zip(SIDE_NAMES) {
            notes.extend(side.repeated_handshakes(name));
        }
        let Experiment { warm_up, pairs, .. } = experiment;
        let mut sides = sides.map(SideRunner::into_result);
        notes.extend(sides.iter_mut().flat_map(|side| std::mem::take(&mut side.limitations)));
        let ended_without_replies = unreachable.is_some();
        Ok(ExperimentResult { warm_up, pairs, sides, ended_without_replies, notes })
    }

    /// Measures the warm-up, then counted pairs until the round is over.
    fn round(
        &mut self,
        round: u32,
        sides: &mut [SideRunner<'_>; 2],
        experiment: &mut Experiment,
    ) -> Result<(), RunError> {
        let start = Instant::now();
        let warm_up = if round == 0 { experiment.limits.warm_up } else { SHORT_WARM_UP };
        for completed in 0..warm_up {
            if completed > 0 && start.elapsed() >= MAX_WARM_UP {
                break;
            }
            let pair = self.pair(sides, experiment.select)?;
            if pair.is_none() || unreachable_side(sides).is_some() {
                return Ok(());
            }
            experiment.warm_up += 1;
            if experiment.is_main() {
                self.pause(None)?;
            }
        }
        sides.iter_mut().for_each(SideRunner::start_counting);
        let end = experiment.round_end(round);
        while !experiment.round_is_over(round, end) && unreachable_side(sides).is_none() {
            let Some(pair) = self.pair(sides, experiment.select)? else { break };
            experiment.pairs.push(pair);
            if experiment.is_main() {
                let number = experiment.pairs.len() as u64;
                self.report.event(&Event::Pair { number, pair: &pair })?;
            }
            if experiment.pairs.len().is_multiple_of(PAIRS_PER_OBSERVATION) {
                sides.iter_mut().for_each(SideRunner::observe_windows);
            }
            self.report_progress_if_due(experiment)?;
            if experiment.is_main() && !experiment.round_is_over(round, end) {
                self.pause(experiment.deadline())?;
            }
        }
        Ok(())
    }

    /// Runs one exchange with each side. Returns `None` if an exchange was interrupted.
    fn pair(
        &mut self,
        sides: &mut [SideRunner<'_>; 2],
        select: SelectTime,
    ) -> Result<Option<Pair>, RunError> {
        let b_first = self.order.bool();
        let [a, b] = sides;
        let (first, second) = if b_first { (b, a) } else { (a, b) };
        if self.is_stopped() {
            return Ok(None);
        }
        let Some(first) = first.exchange(self.stop)? else { return Ok(None) };
        let Some(second) = second.exchange(self.stop)? else { return Ok(None) };
        let (a, b) = if b_first { (second, first) } else { (first, second) };
        Ok(Some(Pair { b_first, a: select(a), b: select(b) }))
    }

    /// Waits for the requested pause between two pairs, but at most until `deadline`.
    fn pause(&mut self, deadline: Option<Instant>) -> Result<(), RunError> {
        let end = Instant::now() + self.comparison.sides[0].settings.interval;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        while Instant::now() < end && !self.is_stopped() {
            self.report.flush()?;
            let rest = end.saturating_duration_since(Instant::now());
            thread::sleep(rest.min(MAX_PAUSE));
        }
        Ok(())
    }

    /// Reports the completed share of a stage.
    pub(super) fn report_progress(
        &mut self,
        stage: ComparisonStage,
        completed: u64,
        total: u64,
    ) -> Result<(), RunError> {
        let share = share(completed, total);
        let progress = ComparisonProgress { stage, share };
        Ok(self.report.event(&Event::ComparisonProgress(progress))?)
    }

    fn report_progress_if_due(&mut self, experiment: &Experiment) -> Result<(), RunError> {
        let now = Instant::now();
        if now.saturating_duration_since(self.last_progress) >= PROGRESS_INTERVAL {
            self.last_progress = now;
            let progress =
                ComparisonProgress { stage: experiment.stage, share: experiment.progress() };
            self.report.event(&Event::ComparisonProgress(progress))?;
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The name of an unreachable side, if there is one.
fn unreachable_side(sides: &[SideRunner<'_>; 2]) -> Option<&'static str> {
    let mut sides = sides.iter().zip(SIDE_NAMES);
    sides.find(|(side, _)| side.is_unreachable(MAX_MISSING_IN_A_ROW)).map(|(_, name)| name)
}

/// The reasons why the measurement of the pairs for the verdict ended early. Empty if the measurement did not end
/// early.
fn notes(experiment: &Experiment, unreachable: Option<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    if !experiment.is_main() {
        return notes;
    }
    if let Some(side) = unreachable.filter(|_| !experiment.pairs.is_empty()) {
        notes.push(format!("Ended early: the last exchanges with {side} had no correct reply."));
    }
    if experiment.pairs.len() as u64 == MAX_PAIRS {
        let pairs = counted(MAX_PAIRS, "pair", "pairs");
        notes.push(format!("Ended early: a comparison measures at most {pairs}."));
    }
    notes
}

#[expect(clippy::cast_precision_loss, reason = "a share for a progress bar")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
