//! Runs a diagnosis: one probe for each protocol and each address of the target. All probes run at the same time and
//! share one timeout.

mod probe;

use super::run::{RunError, resolve_target};
use crate::analysis::diagnosis::{Finding, ProbeResult};
use crate::event::{Event, Report};
use crate::model::condition::{Condition, Failure};
use crate::plan::{DiagnosisPlan, Plan};
use probe::Probe;
use std::panic::resume_unwind;
use std::thread;
use std::time::Instant;

/// The maximum number of addresses that are probed. A longer list of findings is not readable.
const MAX_ADDRESSES: usize = 64;

/// Runs `diagnosis` and reports one finding for each protocol and address. Returns whether an echo server answers.
///
/// The timeout limits the name look-up and all probes together.
///
/// # Errors
///
/// [`RunError`]. An absent server is a finding, not an error.
pub fn diagnose(diagnosis: &DiagnosisPlan, report: &mut dyn Report) -> Result<bool, RunError> {
    let start = Instant::now();
    let Some(first) = diagnosis.plans.first() else { return Ok(false) };
    let deadline = start + first.settings.timeout;
    let is_answering = match resolve_target(first) {
        Ok(addresses) => {
            let addresses = addresses.into_iter().take(MAX_ADDRESSES);
            let probes = diagnosis.plans.iter().flat_map(|plan| {
                addresses.clone().map(move |mut address| {
                    address.set_port(plan.port());
                    Probe { plan, address, deadline }
                })
            });
            run_probes(probes.collect(), report)?
        }
        Err(failure) => {
            for plan in &diagnosis.plans {
                let failure = Failure {
                    detail: failure.detail.clone(),
                    ..Failure::new(failure.condition, failure.after)
                };
                report.event(&Event::Finding(&without_address(plan, failure)))?;
            }
            false
        }
    };
    report.flush()?;
    Ok(is_answering)
}

/// Runs each probe in a separate thread. Reports the findings in the order of the probes. Returns whether an echo
/// server answers.
fn run_probes(probes: Vec<Probe<'_>>, report: &mut dyn Report) -> Result<bool, RunError> {
    let mut is_answering = false;
    let mut first_error = None;
    thread::scope(|scope| -> Result<(), RunError> {
        let threads: Vec<_> =
            probes.into_iter().map(|probe| scope.spawn(move || probe.run())).collect();
        for thread in threads {
            match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(finding) => {
                    is_answering |= finding.condition() == Condition::Answering;
                    report.event(&Event::Finding(&finding))?;
                }
                // The findings of the other probes are still reported.
                Err(error) => first_error = first_error.take().or(Some(error)),
            }
        }
        Ok(())
    })?;
    match first_error {
        Some(error) => Err(error.into()),
        None => Ok(is_answering),
    }
}

/// The finding if the name look-up found no address.
fn without_address(plan: &Plan, failure: Failure) -> Finding {
    Finding {
        protocol: plan.protocol,
        target: plan.host_and_port(),
        address: None,
        icmp_from_this_host: false,
        connect_duration: None,
        sent: 0,
        result: ProbeResult::NoAnswer(failure),
        unconnected: None,
    }
}
