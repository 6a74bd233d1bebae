//! Measures honest clients with and without one attack.

use super::attack::{Attack, AttackCounts, Attacker};
use super::honest_load::HonestClients;
use super::kernel_memory::{KernelMemory, cgroup_socket_memory};
use super::latency::Latencies;
use super::schedule::Schedule;
use super::server::SoakedServer;
use crate::process::{cpu_time, own_memory};
use anyhow::{Result, anyhow};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// The attack ends this time after the measurement.
const TAIL: Duration = Duration::from_millis(50);

/// The pause between two measurements. In this time, the server closes the connections of the previous attacker.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// A condition of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// No attack.
    Quiet,
    /// The attack is on another process than the one that the honest clients use.
    Without,
    /// The attack is on the process that the honest clients use.
    With,
}

/// The measurements of an attack.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// One value for each round.
    pub(super) quiet: Vec<Latencies>,
    pub(super) without: Vec<Latencies>,
    pub(super) with: Vec<Latencies>,
    /// The sum of all rounds with the attack.
    pub(super) counts: AttackCounts,
    /// The resources of the server without the attack, and of the attacked server.
    pub(super) resources_quiet: Resources,
    pub(super) resources: Resources,
}

/// The resources that a server and the kernel use. For memory, the maximum of all rounds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resources {
    /// The CPU time of the server in the measured time.
    cpu: Duration,
    measured: Duration,
    /// The anonymous memory of the server in bytes.
    pub(super) own_memory: u64,
    /// The memory for the sockets of the machine in bytes.
    pub(super) kernel_memory: u64,
    /// The memory for the sockets of the cgroup in bytes.
    pub(super) cgroup_memory: Option<u64>,
}

impl Resources {
    /// Adds the resources at the end of a measurement that began at `start`, when the server had used the CPU time
    /// `cpu`.
    fn add(&mut self, server: &SoakedServer, cpu: Duration, start: Instant) -> Result<()> {
        self.cpu += cpu_time(server.process_id())?.saturating_sub(cpu);
        self.measured += start.elapsed();
        self.own_memory = self.own_memory.max(own_memory(server.process_id())?);
        self.kernel_memory = self.kernel_memory.max(KernelMemory::read()?.sum());
        self.cgroup_memory = self.cgroup_memory.max(cgroup_socket_memory());
        Ok(())
    }

    /// The resources of a server that has used the CPU time `cpu` in one second.
    #[cfg(test)]
    pub(super) fn with_cpu(cpu: Duration) -> Self {
        Self { cpu, measured: Duration::from_secs(1), ..Self::default() }
    }

    /// The CPU time of the server in percent of one CPU.
    pub(super) fn cpu_percent(&self) -> f64 {
        self.cpu.as_secs_f64() * 100.0 / self.measured.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Measures the clients in all rounds of `schedule`.
pub(super) fn run(attack: &Attack, schedule: &Schedule) -> Result<Outcome> {
    let attacked = SoakedServer::start(attack.protocol, "attacked", attack.options)?;
    let other = SoakedServer::start(attack.protocol, "other", attack.options)?;
    let mut outcome = Outcome::default();
    for round in 0..schedule.rounds {
        let mut conditions = [Condition::Quiet, Condition::Without, Condition::With];
        // The order alternates, so a change of the machine's speed within a round does not always affect the same
        // condition.
        if round % 2 == 1 {
            conditions.reverse();
        }
        for condition in conditions {
            let target = (condition != Condition::Quiet).then_some(attacked.address);
            // The other server is never attacked, so no earlier attack affects it.
            let server = if condition == Condition::With { &attacked } else { &other };
            outcome.measure(condition, attack, target, server, schedule.window)?;
            thread::sleep(SETTLE_TIME);
        }
    }
    attacked.stop()?;
    other.stop()?;
    Ok(outcome)
}

impl Outcome {
    /// Measures honest clients of `server`. The attack is on the server at the address `target`.
    fn measure(
        &mut self,
        condition: Condition,
        attack: &Attack,
        target: Option<SocketAddr>,
        server: &SoakedServer,
        window: Duration,
    ) -> Result<()> {
        // The clients connect before the attack. It must not close these connections.
        let clients = HonestClients::connect(attack.protocol, server.address);
        let attacker = match target {
            Some(target) => Some(Attacker::start(attack, target, attack.warm_up + window + TAIL)?),
            None => None,
        };
        thread::sleep(attack.warm_up);
        let resources = match condition {
            Condition::With => Some(&mut self.resources),
            Condition::Quiet => Some(&mut self.resources_quiet),
            Condition::Without => None,
        };
        let latencies = thread::scope(|scope| -> Result<_> {
            let (start, cpu) = (Instant::now(), cpu_time(server.process_id())?);
            let clients = scope.spawn(|| clients.run(window));
            // Clients that wait for lost replies end after the attack, so the resources are read before that.
            thread::sleep(window);
            if let Some(resources) = resources {
                resources.add(server, cpu, start)?;
            }
            clients.join().map_err(|_| anyhow!("a thread of the honest clients panicked"))
        })?;
        match condition {
            Condition::Quiet => self.quiet.push(latencies),
            Condition::Without => self.without.push(latencies),
            Condition::With => self.with.push(latencies),
        }
        if let Some(attacker) = attacker {
            let counts = attacker.counts()?;
            if condition == Condition::With {
                self.counts.add(counts);
            }
        }
        Ok(())
    }
}
