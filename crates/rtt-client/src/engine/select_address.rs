//! [`select_address`]: finds the address of a name that a run measures.
//!
//! With connections, an address answers if a connection is established. The run then uses this connection. Without
//! connections, an address answers if one exchange has a reply. [`super::address_race`] contains the schedule.

use super::address_race::{
    ATTEMPT_DELAY, Attempt, LastCandidate, Loser, RaceResult, Rules, Schedule, Winner, race,
};
use super::run::RunError;
use super::series::{FirstChannel, RunPosition};
use super::trial::Trial;
use crate::event::FailedAttempt;
use crate::model::condition::Failure;
use crate::net::resolve::MAX_ADDRESSES;
use crate::plan::Plan;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::debug;

/// The address that a run measures.
pub(in crate::engine) struct SelectedAddress {
    pub(in crate::engine) address: SocketAddr,
    /// The addresses before this one that failed or did not answer so far.
    pub(in crate::engine) failed_attempts: Vec<FailedAttempt>,
    /// The attempt with this address. `None` if there was none, or if a measurement cannot use it.
    pub(in crate::engine) tried: Option<Tried>,
}

impl SelectedAddress {
    /// An address that was not tried.
    pub(in crate::engine) fn untried(
        address: SocketAddr,
        failed_attempts: Vec<FailedAttempt>,
    ) -> Self {
        Self { address, failed_attempts, tried: None }
    }
}

/// An attempt with one address.
pub(in crate::engine) enum Tried {
    /// Protocols with connections: the connection, or the failed attempt to open it.
    Channel(Box<FirstChannel>),
    /// Protocols without connections: one exchange.
    Exchange(Box<Trial>),
}

impl Tried {
    /// Tries `address`. When `stop` is set, the attempt ends.
    pub(in crate::engine) fn run(
        plan: &Plan,
        address: SocketAddr,
        stop: &AtomicBool,
    ) -> Result<Self, RunError> {
        if plan.protocol.has_connections() {
            debug!(protocol = plan.protocol.name, %address, "trying address");
            let channel = FirstChannel::open(plan, address, RunPosition::Start, stop)?;
            let condition = channel.failure().map(|failure| failure.condition);
            let condition = condition.map(tracing::field::display);
            debug!(protocol = plan.protocol.name, %address, condition, "tried address");
            return Ok(Self::Channel(Box::new(channel)));
        }
        Ok(Self::Exchange(Box::new(Trial::run(&plan.one_exchange(), address, stop)?)))
    }

    /// Whether the address answers.
    pub(in crate::engine) fn is_answered(&self) -> bool {
        match self {
            Self::Channel(channel) => channel.failure().is_none(),
            Self::Exchange(trial) => trial.is_answered(),
        }
    }

    /// The failure, if the address does not answer.
    pub(in crate::engine) fn into_failure(self) -> Option<Failure> {
        match self {
            Self::Channel(channel) => channel.into_failure(),
            Self::Exchange(trial) => trial.into_failure(),
        }
    }
}

/// Selects the first of the `addresses` that answers. If none answers, selects the last one. A single address is not
/// tried.
///
/// # Errors
///
/// No address answers, and this host refuses an operation.
pub(in crate::engine) fn select_address(
    plan: &Plan,
    addresses: &[SocketAddr],
    stop: &AtomicBool,
) -> Result<SelectedAddress, RunError> {
    let last_index = addresses.len() - 1;
    let last = *addresses.last().expect("a resolved name has an address");
    if last_index == 0 {
        return Ok(SelectedAddress::untried(last, Vec::new()));
    }
    let schedule = schedule(plan, addresses.len());
    let rules = Rules { schedule, last: LastCandidate::Skip, max_running: MAX_ADDRESSES, stop };
    let RaceResult { winner, losers } = race(addresses, rules, |&address, cancel| {
        let tried = Tried::run(plan, address, cancel);
        let succeeded = tried.as_ref().is_ok_and(Tried::is_answered);
        Attempt { succeeded, value: tried }
    });
    if stop.load(Ordering::Relaxed) {
        // The run ends before its first request.
        return Ok(SelectedAddress::untried(addresses[0], Vec::new()));
    }
    if winner.is_none() && losers.is_empty() {
        // The system has refused a thread, so no address was tried.
        return Ok(SelectedAddress::untried(addresses[0], Vec::new()));
    }
    let selected = winner.as_ref().map_or(last_index, |winner| winner.index);
    let mut failed_attempts = Vec::new();
    let mut first_error = None;
    let mut tried_last = None;
    for Loser { index, value, is_cancelled } in losers {
        match value {
            Err(error) => first_error = first_error.or(Some(error)),
            Ok(tried) if index == selected => tried_last = Some(tried),
            // These attempts started after the winning attempt, and their addresses had no time to answer.
            Ok(_) if is_cancelled && index > selected => {}
            Ok(tried) => {
                let address = addresses[index];
                let attempt = |failure| failed_attempt(plan, address, failure, is_cancelled);
                failed_attempts.extend(tried.into_failure().map(attempt));
            }
        }
    }
    let address = addresses[selected];
    match (winner, first_error) {
        (Some(Winner { value, was_alone, .. }), _) => {
            // An exchange is a measurement only if no other attempt ran at the same time.
            let is_usable = |tried: &Tried| was_alone || matches!(tried, Tried::Channel(_));
            Ok(SelectedAddress { address, failed_attempts, tried: value.ok().filter(is_usable) })
        }
        (None, Some(error)) => Err(error),
        (None, None) => Ok(SelectedAddress { address, failed_attempts, tried: tried_last }),
    }
}

/// An attempt that failed, or that was cancelled before it had a result.
pub(in crate::engine) fn failed_attempt(
    plan: &Plan,
    address: SocketAddr,
    failure: Failure,
    is_cancelled: bool,
) -> FailedAttempt {
    let failure = if is_cancelled {
        Failure { detail: Some("another address answered first".to_owned()), ..failure }
    } else {
        failure
    };
    FailedAttempt { protocol: plan.protocol, address, failure }
}

/// The schedule of the attempts with this number of addresses.
pub(in crate::engine) fn schedule(plan: &Plan, addresses: usize) -> Schedule {
    let uses_one_port = plan.settings.bind.is_some_and(|local| local.port() > 0);
    if !uses_one_port {
        return Schedule::Overlapping(ATTEMPT_DELAY);
    }
    // The same total time as with overlapping attempts.
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    let total = plan.settings.timeout + ATTEMPT_DELAY * addresses.saturating_sub(1);
    Schedule::OneAfterAnother((total / addresses.max(1)).min(plan.settings.timeout))
}
