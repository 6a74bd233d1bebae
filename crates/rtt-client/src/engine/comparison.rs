//! Runs a comparison: pairs of exchanges with both sides, then small experiments that explain the difference.
//!
//! The measurements run in this order:
//!
//! 1. the pairs for the verdict
//! 2. pairs with kernel timestamps, which split the RTT into parts
//! 3. pairs with a new connection for each exchange
//! 4. requests in two writes
//! 5. pairs with other request sizes
//! 6. datagrams to a closed port
//!
//! All results are stored in [`Evidence`]. [`judge`] derives the verdict from it.

mod closed_port;
mod interleaver;
mod side;
mod two_writes;
mod windows;

use super::run::{RunError, new_start, prepare_thread, resolve_target, select_address};
use crate::analysis::comparison::{Verdict, judge};
use crate::analysis::evidence::{Evidence, IncompleteExperiment, Pair, Side, SweepPoint};
use crate::analysis::statistics::Summary;
use crate::event::{ComparisonStage, ComparisonStart, Event, Report};
use crate::net::system::KERNEL_TIMESTAMPS;
use crate::plan::{ComparisonPlan, Lifetime, Plan, PlanError, Settings, SizePlan};
use interleaver::{ExperimentLimits, ExperimentResult, Interleaver, SHORT_WARM_UP};
use side::{ExchangeTimes, SideResult};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use two_writes::Server;

/// The number of pairs before the counted pairs, in the first round. During these pairs, connections reach their steady
/// state, caches fill and routes are resolved. Experiments and later rounds need fewer of them.
const WARM_UP: u64 = 20;

/// The largest number of rounds. Each round opens new connections to both sides. The connection that is opened later
/// can be faster by 1 % for its whole lifetime, so the order alternates between rounds.
const ROUNDS: u32 = 8;

/// The smallest number of pairs in a round, if there are several rounds.
const MIN_PAIRS_PER_ROUND: u64 = 10;

/// The largest number of rounds of an experiment.
const EXPERIMENT_ROUNDS: u32 = 2;

/// The largest number of pairs of each experiment.
const MAX_PAIRS_WITH_TIMESTAMPS: u64 = 300;
const MAX_PAIRS_WITH_CONNECTIONS: u64 = 100;
const MAX_PAIRS_PER_SIZE: u64 = 200;

/// The minimum time limit of an experiment. The limit is a quarter of the time limit of the main measurement, but at
/// least this time.
const MIN_EXPERIMENT_TIME: Duration = Duration::from_secs(1);

/// Runs `comparison`, passes events to `report` and returns the verdict. Ends early when `stop` is set.
///
/// # Errors
///
/// Returns [`RunError`] if the comparison could not run. An absent server is not an error: the verdict then contains no
/// difference.
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

/// Measures the pairs for the verdict, then runs the experiments. Without a complete pair, the experiments are skipped.
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
    let servers = experiments.kernel_timestamps(&mut interleaver, evidence)?;
    experiments.new_connections(&mut interleaver, evidence)?;
    experiments.two_writes(&mut interleaver, evidence, servers)?;
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

    /// Splits the RTTs of both sides with kernel timestamps. Returns the kind of each server: only a server of this
    /// project reports its processing time.
    fn kernel_timestamps(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
    ) -> Result<[Server; 2], RunError> {
        let plans = match plans_with_timestamps(self.comparison) {
            Ok(plans) => plans,
            Err(reason) => {
                evidence.no_breakdown_reason = Some(reason);
                return Ok([Server::ThirdParty; 2]);
            }
        };
        let stage = ComparisonStage::KernelTimestamps;
        let limits = self.limits(MAX_PAIRS_WITH_TIMESTAMPS);
        let result = interleaver.measure(stage, &plans, limits, ExchangeTimes::rtt)?;
        evidence.incomplete.extend(incomplete("kernel timestamps", &result.pairs));
        let servers = result.sides.each_ref().map(|side| server_kind(&side.summary));
        for (side, SideResult { summary, .. }) in evidence.sides.iter_mut().zip(result.sides) {
            side.with_timestamps = (summary.breakdown.send.count() > 0).then_some(summary);
        }
        Ok(servers)
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
        for (side, SideResult { summary, .. }) in evidence.sides.iter_mut().zip(result.sides) {
            side.with_connection = side.is_stream().then_some(summary);
        }
        Ok(())
    }

    /// Sends requests in two writes to each side that uses a stream.
    fn two_writes(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
        servers: [Server; 2],
    ) -> Result<(), RunError> {
        for (index, side) in evidence.sides.iter_mut().enumerate() {
            if let (true, Some(address)) = (side.is_stream(), side.address) {
                interleaver.report_progress(ComparisonStage::TwoWrites, index as u64, 2)?;
                let server = servers[index];
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
        for SizePlan { bytes, sides } in &self.comparison.sweep {
            let stage = ComparisonStage::RequestSize { bytes: *bytes };
            let limits = self.limits(MAX_PAIRS_PER_SIZE);
            let result = interleaver.measure(stage, sides, limits, ExchangeTimes::rtt)?;
            evidence.incomplete.extend(incomplete(&format!("{bytes} bytes"), &result.pairs));
            evidence.sweep.push(SweepPoint { bytes: *bytes, pairs: result.pairs });
        }
        Ok(())
    }
}

/// Counts the pairs in which a correct reply is missing. Returns `None` if every pair is complete.
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

/// The number of rounds for `pairs` pairs. It is 1 or an even number, at most `max`. With an even number, each side is
/// opened first in half of the rounds.
fn rounds(max: u32, pairs: u64) -> u32 {
    let rounds = u32::try_from(pairs / MIN_PAIRS_PER_ROUND).unwrap_or(max).min(max);
    (rounds & !1).max(1)
}

fn store_main_result(result: ExperimentResult, evidence: &mut Evidence) {
    evidence.warm_up = result.warm_up;
    evidence.pairs = result.pairs;
    evidence.notes = result.notes;
    for (side, result) in evidence.sides.iter_mut().zip(result.sides) {
        side.traffic_exchanges = result.summary.received;
        side.summary = result.summary;
        side.traffic = result.traffic;
        side.windows = result.windows;
        side.failure = result.failure.filter(|_| side.summary.received == 0);
    }
}

fn server_kind(summary: &Summary) -> Server {
    if summary.breakdown.server.count() > 0 { Server::Ours } else { Server::ThirdParty }
}
