//! Carrying a comparison out: both sides' exchanges next to each other in time, and the small experiments
//! that say what a difference consists of.

mod closed_port;
mod interleaver;
mod side;
mod two_writes;

use super::run::{RunError, new_start, prepare_thread, resolve_target, select_address};
use crate::analysis::comparison::{Verdict, judge};
use crate::analysis::evidence::{Evidence, IncompleteExperiment, Pair, Side, SweepPoint};
use crate::event::{ComparisonStage, ComparisonStart, Event, Report};
use crate::model::protocol::Framing;
use crate::net::system::KERNEL_TIMESTAMPS;
use crate::plan::{ComparisonPlan, Lifetime};
use crate::plan::{Plan, PlanError, Settings};
use interleaver::{ExperimentLimits, ExperimentResult, Interleaver, SHORT_WARM_UP};
use side::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pairs made before those that count, with which connections settle, caches fill and routes are found;
/// an experiment needs fewer, as a later round does.
const WARM_UP: u64 = 20;

/// How many times both sides are opened anew. Of two equal connections the one that was opened later can be
/// faster by a hundredth, for as long as they last; so they take turns.
const ROUNDS: u32 = 8;

/// How many pairs a round has at least.
const LEAST_OF_A_ROUND: u64 = 10;

/// The most pairs of each experiment.
const WITH_STAMPS: u64 = 300;
const WITH_CONNECTIONS: u64 = 100;
const OF_A_SIZE: u64 = 200;

/// How long an experiment takes at most: a quarter of the main measurement's time, and this at least.
const SHORTEST_EXPERIMENT: Duration = Duration::from_secs(1);

/// Carries `comparison` out, judges it, and tells `report` what happens, until all is done or `stop` is set.
///
/// # Errors
///
/// [`RunError`]; a server that is not there makes no verdict, and is no error.
pub fn compare(
    comparison: &ComparisonPlan,
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<Verdict, RunError> {
    let begun = Instant::now();
    prepare_thread(&comparison.sides[0].settings)?;
    let mut evidence =
        Evidence { sides: comparison.sides.each_ref().map(side), ..Evidence::default() };
    let mut attempts = Vec::new();
    for (plan, side) in comparison.sides.iter().zip(&mut evidence.sides) {
        match resolve_target(plan) {
            Err(failure) => side.failure = Some(failure),
            Ok(addresses) => {
                let selected = select_address(plan, &addresses, stop)?;
                side.address = Some(selected.address);
                attempts.extend(selected.failed_attempts);
            }
        }
    }
    let addresses = evidence.sides.each_ref().map(|side| side.address);
    let starts = [0, 1].map(|side| new_start(&comparison.sides[side], addresses[side]));
    report.event(&Event::ComparisonStart(&ComparisonStart { comparison, sides: &starts }))?;
    for attempt in &attempts {
        report.event(&Event::FailedAttempt(attempt))?;
    }
    if let [Some(a), Some(b)] = addresses {
        let stages = Interleaver::new(comparison, [a, b], report, stop);
        measure(comparison, stages, &mut evidence, stop)?;
    }
    evidence.interrupted = stop.load(Ordering::Relaxed);
    evidence.duration = begun.elapsed();
    let verdict = judge(&evidence, comparison.confidence);
    report.event(&Event::Verdict { comparison, evidence: &evidence, verdict: &verdict })?;
    Ok(verdict)
}

fn side(plan: &Plan) -> Side {
    Side {
        protocol: plan.protocol.name,
        title: plan.protocol.title,
        target: plan.url(),
        is_stream: plan.protocol.framing == Framing::Stream,
        request_bytes: plan.payload.request_len(),
        ..Side::default()
    }
}

/// The pairs that count, and then the experiments.
fn measure(
    comparison: &ComparisonPlan,
    mut stages: Interleaver<'_>,
    evidence: &mut Evidence,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    let main = ExperimentLimits {
        rounds: rounds(ROUNDS, comparison.pairs),
        warm_up: WARM_UP,
        pairs: comparison.pairs,
        time: comparison.duration,
    };
    let made = stages.reported_pairs(&comparison.sides, main)?;
    let answered = made.pairs.iter().any(|pair| pair.difference().is_some());
    take_main(made, evidence);
    if !answered {
        return Ok(());
    }
    let quarter = comparison.duration.map_or(SHORTEST_EXPERIMENT, |duration| duration / 4);
    let time = Some(quarter.max(SHORTEST_EXPERIMENT));
    let short = |most: u64| {
        let pairs = most.min(comparison.pairs);
        ExperimentLimits { rounds: rounds(2, pairs), warm_up: SHORT_WARM_UP, pairs, time }
    };

    let mut are_ours = [false; 2];
    match stamped(comparison) {
        Err(why) => evidence.no_breakdown_reason = Some(why),
        Ok(plans) => {
            let made = stages.pairs(
                ComparisonStage::KernelTimestamps,
                &plans,
                short(WITH_STAMPS),
                Once::rtt,
            )?;
            evidence.incomplete.extend(incomplete("kernel stamps", &made.pairs));
            for (place, (side, with)) in evidence.sides.iter_mut().zip(made.summaries).enumerate() {
                are_ours[place] = with.breakdown.server.count() > 0;
                side.instrumented = (with.breakdown.send.count() > 0).then_some(with);
            }
        }
    }
    if evidence.sides.iter().any(|side| side.is_stream) {
        let plans = comparison.sides.each_ref().map(|plan| {
            let settings = Settings { lifetime: Lifetime::Each, ..plan.settings.clone() };
            Plan { settings, ..plan.clone() }
        });
        let bounds = ExperimentLimits { rounds: 1, warm_up: 1, ..short(WITH_CONNECTIONS) };
        let made =
            stages.pairs(ComparisonStage::NewConnections, &plans, bounds, Once::with_connection)?;
        evidence.incomplete.extend(incomplete("new connections", &made.pairs));
        evidence.pairs_with_connection = made.pairs;
        for (side, summary) in evidence.sides.iter_mut().zip(made.summaries) {
            side.with_connection = side.is_stream.then_some(summary);
        }
    }
    for (place, side) in evidence.sides.iter_mut().enumerate() {
        if let (true, Some(address)) = (side.is_stream, side.address) {
            stages.tell(ComparisonStage::TwoWrites, place as u64, 2)?;
            let plan = &comparison.sides[place];
            side.two_writes = two_writes::experiment(plan, address, are_ours[place], stop)?;
        }
    }
    for (bytes, plans) in &comparison.sizes {
        let stage = ComparisonStage::RequestSize { bytes: *bytes };
        let made = stages.pairs(stage, plans, short(OF_A_SIZE), Once::rtt)?;
        evidence.incomplete.extend(incomplete(&format!("{bytes} bytes"), &made.pairs));
        evidence.sweep.push(SweepPoint { bytes: *bytes, pairs: made.pairs });
    }
    if !stop.load(Ordering::Relaxed) {
        evidence.closed_port = closed_port::experiment();
    }
    Ok(())
}

/// How many pairs of an experiment lack a reply, if any do.
fn incomplete(stage: &str, pairs: &[Pair]) -> Option<IncompleteExperiment> {
    let missing = pairs.iter().filter(|pair| pair.difference().is_none()).count() as u64;
    (missing > 0).then(|| IncompleteExperiment {
        name: stage.to_owned(),
        pairs_without_reply: missing,
        pairs: pairs.len() as u64,
    })
}

/// The same plans with kernel stamps, or why there can be none.
fn stamped(comparison: &ComparisonPlan) -> Result<[Plan; 2], String> {
    if !KERNEL_TIMESTAMPS {
        return Err("it needs the kernel's time stamps (Linux)".into());
    }
    let [a, b] = comparison.sides.each_ref().map(Plan::with_breakdown);
    let told = |error: PlanError| error.to_string();
    Ok([a.map_err(told)?, b.map_err(told)?])
}

/// How many rounds so many pairs have: one, or an even number, so that both sides are opened first as
/// often.
fn rounds(most: u32, pairs: u64) -> u32 {
    let rounds = u32::try_from(pairs / LEAST_OF_A_ROUND).unwrap_or(most).min(most);
    (rounds & !1).max(1)
}

fn take_main(made: ExperimentResult, evidence: &mut Evidence) {
    evidence.warm_up = made.warm_up;
    evidence.pairs = made.pairs;
    evidence.notes = made.notes;
    let ends = made.summaries.into_iter().zip(made.sides);
    for (side, (summary, end)) in evidence.sides.iter_mut().zip(ends) {
        side.traffic_exchanges = summary.received;
        side.summary = summary;
        side.traffic = end.traffic;
        side.windows = end.windows;
        side.failure = end.failure.filter(|_| side.summary.received == 0);
    }
}
