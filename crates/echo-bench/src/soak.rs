//! `cargo xtask soak`: attacks `udp-echo`, `tcp-echo` and `rtt-client`, and measures the effect on honest clients.
//!
//! The test has three parts:
//!
//! 1. [`mixed`]: honest and hostile clients run at both servers at the same time. Each honest client must receive
//!    correct replies. The memory and the descriptors of the servers are bounded.
//! 2. [`attack`]: one attack at a time. [`honest_load`] measures the latency and the loss of honest clients, with and
//!    without the attack ([`phase`]).
//! 3. [`client_attack`]: `rtt-client` measures servers that send false replies. The client must not report false
//!    figures, and its requests, time and memory are bounded.
//!
//! # How the effect of an attack is measured
//!
//! Servers, attackers and honest clients share the CPUs of one machine. An attacker takes CPU time from an honest
//! client even if the server is perfect. In reality, they run on different hosts. So the test separates the two
//! effects:
//!
//! - The value *without* the attack contains the same competition for the CPUs: two processes of the same server run,
//!   and the same attacker attacks the process that the honest clients do not use. The ratio of *with* and *without*
//!   shows the effect inside the attacked server.
//! - The output also contains the values of the quiet machine, and the ratio to them. The test does not judge this
//!   ratio.
//! - Attackers have the scheduling class `SCHED_IDLE`: they run when no other thread of the test needs the CPU. An
//!   attack that hardly runs has no effect. So the test also judges the number of datagrams and connections of each
//!   attack.
//! - Threads of honest clients have real-time priority, if the system permits it. Otherwise, an honest client would
//!   wait for the CPU although its reply has arrived.
//!
//! The test measures the three conditions alternately, in several rounds. The result is the median of the rounds. A
//! change of the machine's speed then affects all conditions.

mod attack;
mod client_attack;
mod connection;
mod honest_load;
mod kernel_memory;
mod latency;
mod mixed;
mod phase;
mod priority;
mod report;
mod schedule;
mod server;

pub(crate) use attack::run as run_attacker;

use anyhow::{Result, ensure};
use attack::ATTACKS;
use child_process::workspace;
use schedule::Schedule;
use std::time::Duration;

/// The maximum width of the output in columns.
const WIDTH: usize = 80;

/// Runs all parts of the test. They take about `duration` together.
pub(crate) fn run(duration: Duration) -> Result<()> {
    println!("Building the programs\n");
    workspace::build_programs()?;
    let schedule = Schedule::new(duration, ATTACKS.len());

    let mut failures = mixed::run(schedule.mixed)?;

    report::print_header(&schedule);
    let mut outcomes = Vec::new();
    for attack in &ATTACKS {
        let outcome = phase::run(attack, &schedule)?;
        failures.extend(report::print_judged(attack, &outcome));
        outcomes.push((attack, outcome));
    }
    report::print_details(&outcomes);

    failures.extend(client_attack::run()?);

    ensure!(failures.is_empty(), "\n- {}", failures.join("\n- "));
    println!("\nsoak: passed");
    Ok(())
}

/// Prints a text in lines of at most [`WIDTH`] columns.
fn print_paragraph(text: &str) {
    println!("{}", textwrap::fill(text, WIDTH));
}
