//! Runs a diagnosis: one probe for each protocol and each address of the target. All probes run at the same time and
//! share one timeout.

mod probe;

use super::run::{RunError, is_same_host, report_address_limit, resolve_target};
use crate::analysis::diagnosis::{Finding, HostCheck, HostFinding, ProbeResult};
use crate::event::{Event, Report};
use crate::model::condition::{Condition, Failure};
use crate::net::transport::SocketError;
use crate::plan::{DiagnosisPlan, Plan};
use probe::Probe;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// Runs `diagnosis` and reports one finding for each protocol and address. If the diagnosis includes services, also
/// reports for each address whether its host is up. Returns whether the expected server answers.
///
/// The timeout limits the name look-up and all probes together. When `stop` is set, the diagnosis ends early, without the
/// findings of the probes that still wait.
///
/// # Errors
///
/// [`RunError`]. An absent server is a finding, not an error.
pub fn diagnose(
    diagnosis: &DiagnosisPlan,
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<bool, RunError> {
    let start = Instant::now();
    let Some(first) = diagnosis.plans.first() else { return Ok(false) };
    let deadline = start + first.settings.timeout;
    let is_answering = match resolve_target(first, stop) {
        Ok(resolved) => {
            report_address_limit(first, &resolved, report)?;
            let probes = |plans| probes(plans, &resolved.addresses, deadline, stop);
            run_probes(probes(&diagnosis.plans), probes(&diagnosis.host_checks), report)?
        }
        Err(_) if stop.load(Ordering::Relaxed) => false,
        Err(failure) => {
            for plan in &diagnosis.plans {
                let failure = Failure {
                    context: failure.context,
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

/// One probe for each plan and each address.
fn probes<'a>(
    plans: &'a [Plan],
    addresses: &[SocketAddr],
    deadline: Instant,
    stop: &'a AtomicBool,
) -> Vec<Probe<'a>> {
    let probes = plans.iter().flat_map(|plan| {
        addresses.iter().map(move |&address| {
            let mut address = address;
            address.set_port(plan.port());
            let protocols = plans.iter().map(|plan| plan.protocol);
            let other_protocols = protocols.filter(|other| *other != plan.protocol).collect();
            Probe { plan, address, other_protocols, deadline, stop }
        })
    });
    probes.collect()
}

/// Runs each probe in a separate thread. Reports the findings in the order of the probes, and then the conclusion about
/// each host. Returns whether the expected server answers.
fn run_probes<'a>(
    probes: Vec<Probe<'a>>,
    host_checks: Vec<Probe<'a>>,
    report: &mut dyn Report,
) -> Result<bool, RunError> {
    let mut findings = Vec::new();
    let mut first_error = None;
    let mut checks = Vec::new();
    thread::scope(|scope| -> Result<(), RunError> {
        let start = |probe: Probe<'a>| {
            let thread = thread::Builder::new().spawn_scoped(scope, move || probe.run());
            thread.map_err(RunError::StartThread)
        };
        let probes = probes.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let host_checks = host_checks
            .into_iter()
            .map(|probe| Ok((probe.address, probe.plan.protocol, start(probe)?)))
            .collect::<Result<Vec<_>, RunError>>()?;
        for thread in probes {
            match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(None) => {}
                Ok(Some(finding)) => {
                    report.event(&Event::Finding(&finding))?;
                    findings.push(finding);
                }
                // The findings of the other probes are still reported.
                Err(error) => first_error = first_error.take().or(Some(error)),
            }
        }
        for (address, protocol, thread) in host_checks {
            let check = match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(finding) => finding.map(|finding| HostCheck::Finding(Box::new(finding))),
                Err(error) => Some(HostCheck::NotPossible { protocol, reason: reason(&error) }),
            };
            checks.extend(check.map(|check| (address, check)));
        }
        Ok(())
    })?;
    report_hosts(&findings, checks, report)?;
    match first_error {
        Some(error) => Err(error.into()),
        None => Ok(findings.iter().any(|finding| finding.condition() == Condition::Answering)),
    }
}

/// Reports a conclusion about each host, in the order of the probes. Its address must have at least one check and one
/// finding.
fn report_hosts(
    findings: &[Finding],
    checks: Vec<(SocketAddr, HostCheck)>,
    report: &mut dyn Report,
) -> Result<(), RunError> {
    for (host, checks) in by_host(checks) {
        let is_at_host =
            |finding: &&Finding| finding.address.is_some_and(|address| is_same_host(address, host));
        let services: Vec<&Finding> = findings.iter().filter(is_at_host).collect();
        // If no probe could start, the error is the result.
        if services.is_empty() {
            continue;
        }
        report.event(&Event::Host(&HostFinding::new(host, &services, checks)))?;
    }
    Ok(())
}

/// Groups `checks` by host. Keeps their order.
fn by_host<T>(checks: Vec<(SocketAddr, T)>) -> Vec<(SocketAddr, Vec<T>)> {
    let mut hosts: Vec<(SocketAddr, Vec<T>)> = Vec::new();
    for (address, check) in checks {
        match hosts.iter_mut().find(|(host, _)| is_same_host(*host, address)) {
            Some((_, checks)) => checks.push(check),
            None => hosts.push((address, vec![check])),
        }
    }
    hosts
}

/// The error with its source, in one line.
fn reason(error: &SocketError) -> String {
    format!("{error}: {}", error.error)
}

/// The finding if the name look-up found no address.
fn without_address(plan: &Plan, failure: Failure) -> Finding {
    let result = ProbeResult::NoAnswer(failure);
    Finding {
        expected: plan.expected_server(),
        ..Finding::new(plan.protocol, plan.host_and_port(), result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_keep_the_order_of_the_probes_and_their_zones() {
        let checks =
            ["[fe80::5%2]:1", "192.0.2.9:1", "[fe80::5%1]:1", "192.0.2.1:1", "192.0.2.9:2"];
        let checks = checks.map(|address| (address.parse().unwrap(), address)).to_vec();
        let hosts: Vec<_> = by_host(checks).into_iter().map(|(_, checks)| checks).collect();
        let expected: [&[&str]; 4] = [
            &["[fe80::5%2]:1"],
            &["192.0.2.9:1", "192.0.2.9:2"],
            &["[fe80::5%1]:1"],
            &["192.0.2.1:1"],
        ];
        assert_eq!(hosts, expected);
    }
}
