//! Runs a comparison: pairs of exchanges with both sides, then small experiments that explain the difference.
//!
//! The measurements run in this order:
//!
//! 1. the pairs for the verdict
//! 2. pairs with kernel timestamps, which split the RTT into parts
//! 3. pairs with a new connection for each exchange, if the pairs for the verdict use established connections
//! 4. the experiments of the protocols of both sides
//! 5. pairs with other request sizes
//!
//! All results are stored in [`Evidence`]. [`judge`] derives the verdict from it.

mod addresses;
mod interleaver;
mod side;
mod windows;

use super::run::{RunError, new_start, prepare_thread, report_address_limit, resolve_target};
use super::select_address::{SelectedAddress, select_address};
use crate::analysis::comparison::{Verdict, judge};
use crate::analysis::evidence::{Evidence, IncompleteExperiment, Pair, Side, SweepPoint};
use crate::event::{ComparisonStage, ComparisonStart, Event, FailedAttempt, Report};
use crate::model::condition::Failure;
use crate::net::driver::ExperimentContext;
use crate::net::resolve::ResolvedAddresses;
use crate::net::system::KERNEL_TIMESTAMPS;
use crate::plan::{ComparisonPlan, Lifetime, Plan, PlanError, Settings, SizePlan};
use crate::protocol::driver;
use addresses::select_addresses;
use interleaver::{ExperimentLimits, ExperimentResult, Interleaver, SHORT_WARM_UP};
use side::{ExchangeTimes, SideResult};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    let resolved = comparison.sides.each_ref().map(|plan| resolve_target(plan, stop));
    let failed_attempts = select_both_addresses(comparison, &resolved, &mut evidence.sides, stop)?;
    let addresses = evidence.sides.each_ref().map(|side| side.address);
    let starts = [0, 1].map(|side| new_start(&comparison.sides[side], addresses[side]));
    report.event(&Event::ComparisonStart(&ComparisonStart { comparison, sides: &starts }))?;
    for (plan, resolved) in comparison.sides.iter().zip(&resolved) {
        if let Ok(resolved) = resolved {
            report_address_limit(plan, resolved, report)?;
        }
    }
    for (side, resolved) in evidence.sides.iter_mut().zip(resolved) {
        side.failure = resolved.err();
    }
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

/// Selects the addresses of both sides. `resolved` are the results of the name look-ups. Returns the failed attempts.
fn select_both_addresses(
    comparison: &ComparisonPlan,
    resolved: &[Result<ResolvedAddresses, Failure>; 2],
    sides: &mut [Side; 2],
    stop: &AtomicBool,
) -> Result<Vec<FailedAttempt>, RunError> {
    let [a, b] = &comparison.sides;
    let mut selected = [None, None];
    match resolved {
        [Ok(of_a), Ok(of_b)] => {
            let addresses = [&of_a.addresses[..], &of_b.addresses];
            selected = select_addresses([a, b], addresses, stop)?.map(Some);
        }
        [Ok(of_a), Err(_)] => selected[0] = Some(select_address(a, &of_a.addresses, stop)?),
        [Err(_), Ok(of_b)] => selected[1] = Some(select_address(b, &of_b.addresses, stop)?),
        [Err(_), Err(_)] => {}
    }
    let mut failed_attempts = Vec::new();
    for (side, selected) in sides.iter_mut().zip(selected) {
        if let Some(SelectedAddress { address, failed_attempts: failed, .. }) = selected {
            side.address = Some(address);
            failed_attempts.extend(failed);
        }
    }
    Ok(failed_attempts)
}

fn new_side(plan: &Plan) -> Side {
    Side {
        request_bytes: plan.payload.request_len(),
        expected: plan.expected_server(),
        ..Side::new(plan.protocol, plan.url())
    }
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
    // The experiments explain exchanges of messages.
    if evidence.has_handshakes() {
        return Ok(());
    }
    let experiments = Experiments { comparison, stop };
    let has_timing_header = experiments.kernel_timestamps(&mut interleaver, evidence)?;
    experiments.new_connections(&mut interleaver, evidence)?;
    experiments.of_protocols(&mut interleaver, evidence, has_timing_header)?;
    experiments.sweep(&mut interleaver, evidence)
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

    /// Splits the RTTs of both sides with kernel timestamps. Returns for each server whether it reports its processing
    /// time. Only a server of this project does.
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
        add_notes(result.notes, evidence);
        let has_timing_header =
            result.sides.each_ref().map(|side| side.summary.breakdown.server.count() > 0);
        for (side, SideResult { summary, .. }) in evidence.sides.iter_mut().zip(result.sides) {
            side.with_timestamps = (summary.breakdown.send.count() > 0).then_some(summary);
        }
        Ok(has_timing_header)
    }

    /// Measures pairs with a new connection for each exchange, if a side has connections.
    fn new_connections(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), RunError> {
        let has_connections = evidence.sides.iter().any(|side| side.protocol.has_connections());
        // If each exchange already has a new connection, there is no difference to measure.
        if !has_connections || evidence.has_new_connections() {
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
        add_notes(result.notes, evidence);
        evidence.pairs_with_connection = result.pairs;
        for (side, SideResult { summary, .. }) in evidence.sides.iter_mut().zip(result.sides) {
            side.with_connection = side.protocol.has_connections().then_some(summary);
        }
        Ok(())
    }

    /// Runs the experiments of the protocols of both sides. An experiment whose result is the same for every target runs
    /// only for the first side that uses the protocol.
    fn of_protocols(
        &self,
        interleaver: &mut Interleaver<'_>,
        evidence: &mut Evidence,
        has_timing_header: [bool; 2],
    ) -> Result<(), RunError> {
        let mut notes = Vec::new();
        let have_same_protocol = evidence.sides[0].protocol == evidence.sides[1].protocol;
        for (index, side) in evidence.sides.iter_mut().enumerate() {
            let Some(address) = side.address else { continue };
            let context = ExperimentContext {
                plan: &self.comparison.sides[index],
                address,
                has_timing_header: has_timing_header[index],
                stop: self.stop,
            };
            for experiment in driver(side.protocol).experiments {
                if self.stop.load(Ordering::Relaxed) {
                    add_notes(notes, evidence);
                    return Ok(());
                }
                if experiment.needs_echo_server && !side.expected.is_echo() {
                    continue;
                }
                if index == 1 && have_same_protocol && experiment.is_independent_of_target {
                    continue;
                }
                let stage = ComparisonStage::Experiment { name: experiment.name };
                interleaver.report_progress(stage, 0, 1)?;
                match (experiment.run)(&context) {
                    Ok(measurements) => side.measurements.extend(measurements),
                    // The pairs are already measured, so the comparison continues.
                    Err(error) => notes.push(format!(
                        "No result of the experiment \"{}\": {error} ({}).",
                        experiment.name, error.error
                    )),
                }
            }
        }
        add_notes(notes, evidence);
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
            add_notes(result.notes, evidence);
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

/// Adds the notes that the evidence does not contain yet.
fn add_notes(notes: Vec<String>, evidence: &mut Evidence) {
    for note in notes {
        if !evidence.notes.contains(&note) {
            evidence.notes.push(note);
        }
    }
}

fn store_main_result(result: ExperimentResult, evidence: &mut Evidence) {
    evidence.warm_up = result.warm_up;
    evidence.ended_without_replies = result.ended_without_replies;
    evidence.pairs = result.pairs;
    add_notes(result.notes, evidence);
    for (side, result) in evidence.sides.iter_mut().zip(result.sides) {
        side.traffic_exchanges = result.summary.received;
        side.summary = result.summary;
        side.traffic = result.traffic;
        side.windows = result.windows;
        side.failure = result.failure.filter(|_| side.summary.received == 0);
    }
}
