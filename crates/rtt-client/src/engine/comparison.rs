//! Carries out a comparison: pairs of exchanges with both sides, then small experiments that explain the
//! difference.
//!
//! The order is: the pairs that decide the verdict; pairs with kernel timestamps, which split the RTT; pairs with a
//! new connection for each exchange; requests in two writes; pairs of other sizes; datagrams to a closed port.
//! The measurements go into [`Evidence`], from which [`judge`] derives the verdict.

mod closed_port;
mod interleaver;
mod side;
mod two_writes;
mod windows;

use super::run::{RunError, new_start, prepare_thread, resolve_target, select_address};
use crate::analysis::comparison::{Verdict, judge};
use crate::analysis::evidence::{Evidence, IncompleteExperiment, Pair, Side, SweepPoint};
use crate::event::{ComparisonStage, ComparisonStart, Event, Report};
use crate::net::system::KERNEL_TIMESTAMPS;
use crate::plan::{ComparisonPlan, Lifetime, Plan, PlanError, Settings};
use interleaver::{ExperimentLimits, ExperimentResult, Interleaver, SHORT_WARM_UP};
use side::ExchangeTimes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pairs before the counted pairs, in the first round. During these pairs, connections reach their steady state,
/// caches fill and routes are resolved. An experiment and a later round need fewer of them.
const WARM_UP: u64 = 20;

/// How often both sides are opened again. The side that was opened later can be faster by 1 % for as long as its
/// connection lasts, so the sides take turns.
const ROUNDS: u32 = 8;

/// The smallest number of pairs in a round.
const MIN_PAIRS_PER_ROUND: u64 = 10;

/// The rounds of an experiment.
const EXPERIMENT_ROUNDS: u32 = 2;

/// The largest number of pairs of each experiment.
const MAX_PAIRS_WITH_TIMESTAMPS: u64 = 300;
const MAX_PAIRS_WITH_CONNECTIONS: u64 = 100;
const MAX_PAIRS_PER_SIZE: u64 = 200;

/// The shortest time limit of an experiment. The limit is a quarter of the time of the main measurement, if that
/// is longer.
const MIN_EXPERIMENT_TIME: Duration = Duration::from_secs(1);

/// Carries out `comparison`, reports its events to `report` and returns the verdict. Ends early when `stop` is set.
///
/// # Errors
///
/// [`RunError`]. An absent server is not an error: the verdict then contains no difference.
pub fn compare(
    comparison: &ComparisonPlan,
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<Verdict, RunError> {
    let start = Instant::now();
    prepare_thread(&comparison.sides[0].settings)?;
    let mut evidence = Evidence::new(comparison.sides.each_ref().map(new_side));
    let mut failed_attempts = Vec::new();
    for (plan, side) in comparison.sides.iter().zip(&mut evidence.sides) {
        match resolve_target(plan) {
            Err(failure) => side.failure = Some(failure),
            Ok(addresses) => {
                let selected = select_address(plan, &addresses, stop)?;
                side.address = Some(selected.address);
                failed_attempts.extend(selected.failed_attempts);
            }
        }
    }
    let addresses = evidence.sides.each_ref().map(|side| side.address);
    let starts = [0, 1].map(|side| new_start(&comparison.sides[side], addresses[side]));
    report.event(&Event::ComparisonStart(&ComparisonStart { comparison, sides: &starts }))?;
    for attempt in &failed_attempts {
        report.event(&Event::FailedAttempt(attempt))?;
    }
    if let [Some(a), Some(b)] = addresses {
        let interleaver = Interleaver::new(comparison, [a, b], report, stop);
        measure(comparison, interleaver, &mut evidence, stop)?;
    }
    evidence.interrupted = stop.load(Ordering::Relaxed);
    evidence.duration = start.elapsed();
    let verdict = judge(&evidence, comparison.confidence);
    report.event(&Event::Verdict { comparison, evidence: &evidence, verdict: &verdict })?;
    Ok(verdict)
}

fn new_side(plan: &Plan) -> Side {
    Side { request_bytes: plan.payload.request_len(), ..Side::new(plan.protocol, plan.url()) }
}

/// Measures the counted pairs, then carries out the experiments. Without a complete pair there is nothing to
/// explain, and the experiments are left out.
fn measure(
    comparison: &ComparisonPlan,
    mut interleaver: Interleaver<'_>,
    evidence: &mut Evidence,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    let limits = ExperimentLimits {
        rounds: rounds(ROUNDS, comparison.pairs),
        warm_up: WARM_UP,
        pairs: comparison.pairs,
        time: comparison.duration,
    };
    let result = interleaver.measure_main_pairs(&comparison.sides, limits)?;
    let has_complete_pair = result.pairs.iter().any(|pair| pair.difference().is_some());
    store_main_result(result, evidence);
    if !has_complete_pair {
        return Ok(());
    }
    let experiments = Experiments { comparison, stop };
    let is_own_server = experiments.kernel_timestamps(&mut interleaver, evidence)?;
    experiments.new_connections(&mut interleaver, evidence)?;
    experiments.two_writes(&mut interleaver, evidence, is_own_server)?;
    experiments.sweep(&mut interleaver, evidence)?;
    if !stop.load(Ordering::Relaxed) {
        evidence.closed_port = closed_port::experiment();
    }
    Ok(())
}

/// The experiments that explain a difference.
struct Experiments<'a> {
    comparison: &'a ComparisonPlan,
    stop: &'a AtomicBool,
}

impl Experiments<'_> {
    /// The limits of an experiment with at most `max_pairs` pairs.
    fn limits(&self, max_pairs: u64) -> ExperimentLimits {
        let quarter = self.comparison.duration.map_or(MIN_EXPERIMENT_TIME, |time| time / 4);
        let pairs = max_pairs.min(self.comparison.pairs);
        ExperimentLimits {
            rounds: rounds(EXPERIMENT_ROUNDS, pairs),
            warm_up: SHORT_WARM_UP,
            pairs,
            time: Some(quarter.max(MIN_EXPERIMENT_TIME)),
        }
    }

    /// Splits the RTTs of both sides with kernel timestamps. Returns for each side whether its server is one of
    /// ours, which reports its own share of the time.
    fn kernel_timestamps(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
    ) -> Result<[bool; 2], RunError> {
        let plans = match plans_with_timestamps(self.comparison) {
            Ok(plans) => plans,
            Err(reason) => {
                evidence.no_breakdown_reason = Some(reason);
                return Ok([false; 2]);
            }
        };
        let stage = ComparisonStage::KernelTimestamps;
        let limits = self.limits(MAX_PAIRS_WITH_TIMESTAMPS);
        let result = interleaver.measure(stage, &plans, limits, ExchangeTimes::rtt)?;
        evidence.incomplete.extend(incomplete("kernel timestamps", &result.pairs));
        let mut is_own_server = [false; 2];
        for (index, (side, summary)) in evidence.sides.iter_mut().zip(result.summaries).enumerate()
        {
            is_own_server[index] = summary.breakdown.server.count() > 0;
            side.with_timestamps = (summary.breakdown.send.count() > 0).then_some(summary);
        }
        Ok(is_own_server)
    }

    /// Measures pairs with a new connection for each exchange, if a side has connections.
    fn new_connections(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), RunError> {
        if !evidence.sides.iter().any(Side::is_stream) {
            return Ok(());
        }
        let plans = self.comparison.sides.each_ref().map(|plan| {
            let settings = Settings { lifetime: Lifetime::Each, ..plan.settings.clone() };
            Plan { settings, ..plan.clone() }
        });
        let limits =
            ExperimentLimits { rounds: 1, warm_up: 1, ..self.limits(MAX_PAIRS_WITH_CONNECTIONS) };
        let stage = ComparisonStage::NewConnections;
        let result = interleaver.measure(stage, &plans, limits, ExchangeTimes::with_connection)?;
        evidence.incomplete.extend(incomplete("new connections", &result.pairs));
        evidence.pairs_with_connection = result.pairs;
        for (side, summary) in evidence.sides.iter_mut().zip(result.summaries) {
            side.with_connection = side.is_stream().then_some(summary);
        }
        Ok(())
    }

    /// Sends requests in two writes to each side with a stream.
    fn two_writes(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
        is_own_server: [bool; 2],
    ) -> Result<(), RunError> {
        for (index, side) in evidence.sides.iter_mut().enumerate() {
            if let (true, Some(address)) = (side.is_stream(), side.address) {
                interleaver.report_progress(ComparisonStage::TwoWrites, index as u64, 2)?;
                let server = if is_own_server[index] {
                    two_writes::Server::Ours
                } else {
                    two_writes::Server::ThirdParty
                };
                let plan = &self.comparison.sides[index];
                side.two_writes = two_writes::experiment(plan, address, server, self.stop)?;
            }
        }
        Ok(())
    }

    /// Measures pairs of each size of the sweep.
    fn sweep(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), RunError> {
        for (bytes, plans) in &self.comparison.sizes {
            let stage = ComparisonStage::RequestSize { bytes: *bytes };
            let limits = self.limits(MAX_PAIRS_PER_SIZE);
            let result = interleaver.measure(stage, plans, limits, ExchangeTimes::rtt)?;
            evidence.incomplete.extend(incomplete(&format!("{bytes} bytes"), &result.pairs));
            evidence.sweep.push(SweepPoint { bytes: *bytes, pairs: result.pairs });
        }
        Ok(())
    }
}

/// The number of pairs of an experiment without both replies, if there are any.
fn incomplete(experiment: &str, pairs: &[Pair]) -> Option<IncompleteExperiment> {
    let missing = pairs.iter().filter(|pair| pair.difference().is_none()).count() as u64;
    (missing > 0).then(|| IncompleteExperiment {
        name: experiment.to_owned(),
        pairs_without_reply: missing,
        pairs: pairs.len() as u64,
    })
}

/// The same plans with kernel timestamps, or the reason why they are not possible.
fn plans_with_timestamps(comparison: &ComparisonPlan) -> Result<[Plan; 2], String> {
    if !KERNEL_TIMESTAMPS {
        return Err("kernel timestamps are not available on this system (they need Linux)".into());
    }
    let [a, b] = comparison.sides.each_ref().map(Plan::with_breakdown);
    let reason = |error: PlanError| error.to_string();
    Ok([a.map_err(reason)?, b.map_err(reason)?])
}

/// The number of rounds for `pairs` pairs: 1, or an even number up to `max`, so that each side is opened first
/// equally often.
fn rounds(max: u32, pairs: u64) -> u32 {
    let rounds = u32::try_from(pairs / MIN_PAIRS_PER_ROUND).unwrap_or(max).min(max);
    (rounds & !1).max(1)
}

fn store_main_result(result: ExperimentResult, evidence: &mut Evidence) {
    evidence.warm_up = result.warm_up;
    evidence.pairs = result.pairs;
    evidence.notes = result.notes;
    let results = result.summaries.into_iter().zip(result.sides);
    for (side, (summary, observed)) in evidence.sides.iter_mut().zip(results) {
        side.traffic_exchanges = summary.received;
        side.summary = summary;
        side.traffic = observed.traffic;
        side.windows = observed.windows;
        side.failure = observed.failure.filter(|_| side.summary.received == 0);
    }
}
