//! Prints the measurements of all attacks, and judges them.

use super::attack::{Attack, AttackCounts};
use super::honest_load::{CLIENTS, NEW_CONNECTIONS_PERCENT, RATE};
use super::latency::{Latencies, MIN_SAMPLES_FOR_P99};
use super::phase::{Outcome, Resources};
use super::schedule::Schedule;
use super::{print_paragraph, priority};
use crate::protocol::Protocol;

/// The maximum ratio of the 99th percentiles with and without an attack.
const MAX_RATIO: f64 = 5.0;

/// Over UDP, the loss with an attack must be below this percentage. Over TCP, it must be 0.
const MAX_UDP_LOSS_PERCENT: f64 = 0.5;

/// An attack over UDP must send at least this percentage of its planned datagrams. Attackers run only when no other
/// thread needs the CPU, so on a busy machine an attack can send too little to have an effect. On a quiet machine with
/// two CPUs, all of twelve measurements had more than 99 %. Half of the plan is still three times the largest `--rate`
/// of an attacked server.
const MIN_SENT_PERCENT: u64 = 50;

/// One MiB in bytes, the unit of the table.
const MIB: u64 = 1 << 20;

/// Explains the measurement, and prints the header of the first table.
pub(super) fn print_header(schedule: &Schedule) {
    let Schedule { rounds, window, .. } = schedule;
    println!("\nAttacks on the servers: {rounds} round(s), {window:.2?} for each measurement\n");
    print_paragraph(&format!(
        "{CLIENTS} honest clients send {RATE} requests per second together. Over TCP, \
         {NEW_CONNECTIONS_PERCENT} % of the requests need a new connection. Without the attack, the \
         same attacker attacks another process of the server, because attackers and servers share \
         the CPUs of this machine."
    ));
    if !priority::permits_real_time() {
        print_paragraph(
            "The system does not permit real-time priority. The latencies contain times in which an \
             honest client waited for a CPU.",
        );
    }
    print_paragraph(&format!(
        "\nLatency of honest clients in ms. Limits: a p99 ratio of at most {MAX_RATIO}; no loss over \
         TCP; a loss below {MAX_UDP_LOSS_PERCENT} % over UDP."
    ));
    println!("\n{:<28}{:>18}{:>17}{:>8}{:>8}", "", "without attack", "with attack", "p99", "lost");
    println!("{:<28}{:>9}{:>9}{:>8}{:>9}{:>8}{:>8}", "", "p50", "p99", "p50", "p99", "ratio", "%");
}

/// Prints the row of an attack, and returns its failures.
pub(super) fn print_judged(attack: &Attack, outcome: &Outcome) -> Vec<String> {
    let (without, with) = (&outcome.without, &outcome.with);
    let all = sum(with);
    let ratio = ratio(without, with);
    let p99 = |rounds: &[Latencies]| match ratio {
        Some(_) => shown(median(rounds, 99.0)),
        None => "-".to_owned(),
    };
    println!(
        "{:<28}{:>9}{:>9}{:>8}{:>9}{:>8}{:>8.2}",
        name(attack),
        shown(median(without, 50.0)),
        p99(without),
        shown(median(with, 50.0)),
        p99(with),
        ratio.map_or("-".to_owned(), shown_ratio),
        all.loss_percent()
    );
    let mut failures = judge(&name(attack), attack.protocol, ratio, &all, &outcome.counts);
    let kernel_memory = outcome.resources.kernel_memory;
    failures.extend(judge_memory(&name(attack), kernel_memory, attack.max_kernel_memory));
    if ratio.is_some() {
        failures.extend(judge_activity(attack, &outcome.counts, with.len() as u64));
        failures.extend(judge_cpu(attack, &outcome.resources_quiet, &outcome.resources));
    }
    failures
}

/// Prints the other values: the quiet machine, the resources, and the attackers.
pub(super) fn print_details(outcomes: &[(&Attack, Outcome)]) {
    print_paragraph(
        "\nLatency on the quiet machine in ms, the ratio of the p99 with the attack to it (not judged), \
         and the resources with the attack.",
    );
    println!(
        "\n{:<28}{:>9}{:>9}{:>8}{:>8}{:>9}{:>9}",
        "", "p50", "p99", "p99", "server", "own", "kernel"
    );
    println!(
        "{:<28}{:>9}{:>9}{:>8}{:>8}{:>9}{:>9}",
        "", "quiet", "quiet", "ratio", "CPU %", "MiB", "MiB"
    );
    for (attack, outcome) in outcomes {
        print_resources(attack, outcome);
    }
    print_memory_notes(outcomes);
    print_cpu_notes(outcomes);
    print_paragraph(
        "\nThe attackers: requests and bytes per second, and the total number of connections",
    );
    for (attack, outcome) in outcomes {
        println!("  {:<28}{}", name(attack), activity(attack, &outcome.counts));
    }
}

fn name(attack: &Attack) -> String {
    format!("{}: {}", attack.protocol, attack.title)
}

/// The ratio of the 99th percentiles. `None`: there are not enough requests.
fn ratio(without: &[Latencies], with: &[Latencies]) -> Option<f64> {
    let is_sufficient = |rounds| sum(rounds).requests() >= MIN_SAMPLES_FOR_P99;
    (is_sufficient(without) && is_sufficient(with))
        .then(|| median(with, 99.0) / median(without, 99.0).max(f64::MIN_POSITIVE))
}

/// Returns the failures of one attack.
fn judge(
    name: &str,
    protocol: Protocol,
    ratio: Option<f64>,
    with: &Latencies,
    counts: &AttackCounts,
) -> Vec<String> {
    let mut failures = Vec::new();
    if let Some(ratio) = ratio.filter(|ratio| *ratio > MAX_RATIO) {
        failures.push(format!("{name}: the p99 is {ratio:.1} times its value without the attack"));
    }
    let (lost, requests) = (with.lost_requests(), with.requests());
    let is_lossy = match protocol {
        Protocol::Tcp => lost > 0,
        // In a short test, a single loss would exceed the limit.
        Protocol::Udp if requests < MIN_SAMPLES_FOR_P99 => lost == requests,
        Protocol::Udp => with.loss_percent() >= MAX_UDP_LOSS_PERCENT,
    };
    if is_lossy {
        failures.push(format!("{name}: {lost} of {requests} honest requests were lost"));
    }
    if with.wrong_replies() > 0 {
        failures.push(format!("{name}: {} replies were wrong", with.wrong_replies()));
    }
    if counts.requests + counts.opened == 0 {
        failures.push(format!("{name}: the attacker sent no requests"));
    }
    failures
}

/// Returns a failure if the attack hardly ran, in `rounds` rounds together. Its effect is then not measured.
fn judge_activity(attack: &Attack, counts: &AttackCounts, rounds: u64) -> Option<String> {
    let planned = attack.planned_rate().map_or(0, u64::from) * counts.milliseconds / 1000;
    if counts.requests * 100 < planned * MIN_SENT_PERCENT {
        let (name, sent) = (name(attack), counts.requests);
        return Some(format!(
            "{name}: the attacker sent {sent} of {planned} planned datagrams \
             (minimum {MIN_SENT_PERCENT} %)"
        ));
    }
    let planned = attack.planned_connections() * rounds;
    let opened = counts.opened;
    (opened < planned).then(|| {
        format!("{}: the attacker opened {opened} of {planned} planned connections", name(attack))
    })
}

/// Returns a failure if the attacked server used too much CPU time, compared with the quiet machine.
fn judge_cpu(attack: &Attack, quiet: &Resources, with: &Resources) -> Option<String> {
    let (quiet, with) = (quiet.cpu_percent(), with.cpu_percent());
    attack.max_cpu_ratio.filter(|max| with > max * quiet).map(|max| {
        format!(
            "{}: the server used {with:.1} % of a CPU, more than {max} times the {quiet:.1} % of the \
             quiet machine",
            name(attack)
        )
    })
}

fn judge_memory(name: &str, kernel_memory: u64, max: Option<u64>) -> Option<String> {
    let max = max.filter(|max| kernel_memory > *max)?;
    let (used, max) = (mebibytes(kernel_memory), mebibytes(max));
    Some(format!("{name}: the kernel used {used} MiB for sockets (limit {max} MiB)"))
}

fn print_resources(attack: &Attack, outcome: &Outcome) {
    let resources = &outcome.resources;
    let ratio = ratio(&outcome.quiet, &outcome.with);
    println!(
        "{:<28}{:>9}{:>9}{:>8}{:>8.1}{:>9}{:>9}",
        name(attack),
        shown(median(&outcome.quiet, 50.0)),
        ratio.map_or("-".to_owned(), |_| shown(median(&outcome.quiet, 99.0))),
        ratio.map_or("-".to_owned(), shown_ratio),
        resources.cpu_percent(),
        mebibytes(resources.own_memory),
        mebibytes(resources.kernel_memory)
    );
}

fn print_memory_notes(outcomes: &[(&Attack, Outcome)]) {
    let quiet = outcomes.iter().map(|(_, outcome)| outcome.resources_quiet.kernel_memory).max();
    print_paragraph(&format!(
        "\nkernel: the memory for the sockets of the whole machine, with those of the attackers \
         (/proc/net/sockstat). On the quiet machine: at most {} MiB.",
        mebibytes(quiet.unwrap_or(0))
    ));
    let cgroup = outcomes.iter().filter_map(|(_, outcome)| outcome.resources.cgroup_memory).max();
    print_paragraph(&match cgroup {
        Some(bytes) => {
            format!("cgroup: at most {} MiB for sockets (memory.stat, sock).", mebibytes(bytes))
        }
        None => "cgroup: no value, because this system has no memory.stat of cgroup v2.".to_owned(),
    });
    if outcomes.iter().any(|(_, outcome)| ratio(&outcome.without, &outcome.with).is_none()) {
        print_paragraph(&format!(
            "p99: not judged (-), because this test is too short. A p99 needs \
             {MIN_SAMPLES_FOR_P99} requests."
        ));
    }
}

/// Prints the CPU time on the quiet machine for each attack with a limit.
fn print_cpu_notes(outcomes: &[(&Attack, Outcome)]) {
    for (attack, outcome) in outcomes {
        if let Some(max) = attack.max_cpu_ratio {
            print_paragraph(&format!(
                "server CPU: {:.1} % on the quiet machine for \"{}\". The limit with the attack is \
                 {max} times this value.",
                outcome.resources_quiet.cpu_percent(),
                name(attack)
            ));
        }
    }
}

/// The activity of an attacker.
#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
fn activity(attack: &Attack, counts: &AttackCounts) -> String {
    let per_second = |count: u64| count as f64 * 1000.0 / counts.milliseconds.max(1) as f64;
    let requests = format!("{:.0} requests", per_second(counts.requests));
    let bytes = format!("{:.2} MB", per_second(counts.bytes) / 1e6);
    match attack.protocol {
        Protocol::Udp => {
            format!("{requests} (planned: {}), {bytes}", attack.planned_rate().unwrap_or(0))
        }
        Protocol::Tcp => format!(
            "{bytes}; {} connections, {} closed by the server",
            counts.opened, counts.closed
        ),
    }
}

fn shown_ratio(ratio: f64) -> String {
    if ratio < 100.0 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
}

/// A number of milliseconds. The histogram has two exact digits, so a large number needs no decimals.
fn shown(milliseconds: f64) -> String {
    let decimals = match milliseconds {
        ..10.0 => 3,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{milliseconds:.decimals$}")
}

/// The median of the percentiles of all rounds, in milliseconds.
fn median(rounds: &[Latencies], percent: f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(|round| round.percentile(percent)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn sum(rounds: &[Latencies]) -> Latencies {
    let mut sum = Latencies::default();
    for round in rounds {
        sum.add(round);
    }
    sum
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB as f64)
}

#[cfg(test)]
mod tests;
