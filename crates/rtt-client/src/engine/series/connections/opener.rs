//! [`Opener`]: opens the channels of a series. It looks up the name of the target again for each new channel.
//!
//! - The number of look-ups is limited ([`Name`]).
//! - A look-up is never between the two timestamps of an exchange. If a connection ends while a request is in flight, the
//!   client first opens a new one to the same address. It looks up the name before the next request.
//! - A slow look-up does not delay a fixed schedule, because it runs in another thread. After a failed attempt, the further
//!   attempts also run in another thread.

mod background;
mod name;
mod opening;

use super::Open;
use crate::engine::series::RunPosition;
use crate::model::address_change::{AddressChange, AddressChangeReason};
use crate::model::condition::{Condition, Failure};
use crate::model::failure_context::FailureContext;
use crate::model::icmp::Origin;
use crate::model::protocol::Protocol;
use crate::net::failure::failure_from_socket_error;
use crate::net::resolve::{AddressChoice, LookUpLimits, NameResolver};
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::plan::Plan;
use background::BackgroundOpening;
pub(in crate::engine::series) use background::FinishedOpening;
use background::OpenWhen;
use echo_core::Stamp;
use name::Name;
use opening::Opening;
pub(in crate::engine::series) use opening::PeerAttempt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Whether the client can look up the name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::series) enum LookUpTime {
    /// No request is in flight, or the schedule does not wait for replies.
    Now,
    /// The RTT of a request in flight would contain the time of the look-up.
    Later,
}

/// Opens the channels of a series.
pub(super) struct Opener<'a> {
    protocol: &'static Protocol,
    open: Open,
    config: OpenConfig<'a>,
    /// The measured address. `None` as long as the name has none.
    address: Option<SocketAddr>,
    /// The name of the target, if the client looks it up again.
    name: Option<Name>,
    timeout: Duration,
    /// Whether a slow look-up or attempt would delay the schedule.
    has_schedule: bool,
    /// Whether the client tries the next address of the name if the current one does not reply.
    tries_other_addresses: bool,
    /// The attempt for the next request.
    next_attempt: Option<PeerAttempt>,
    background: Option<BackgroundOpening>,
    /// The start of the last attempt in another thread.
    last_background: Option<Instant>,
    /// The reason why the last attempt failed.
    last_failure: Option<(Condition, Option<Origin>)>,
    /// Whether the measured address has replied.
    has_replied: bool,
    /// The changes of the address that are not reported yet.
    changes: Vec<AddressChange>,
}

impl<'a> Opener<'a> {
    /// An opener whose first attempt is `first`.
    pub(super) fn new(
        open: Open,
        plan: &Plan,
        address: Option<SocketAddr>,
        config: OpenConfig<'a>,
        first: OpenAttempt,
    ) -> Self {
        Self {
            protocol: plan.protocol,
            open,
            config,
            address,
            name: None,
            timeout: plan.settings.timeout,
            has_schedule: !plan.pacing.waits_for_replies(),
            tries_other_addresses: plan.settings.keep_going,
            next_attempt: Some(PeerAttempt::to_same_address(address, first)),
            background: None,
            last_background: None,
            last_failure: None,
            has_replied: false,
            changes: Vec::new(),
        }
    }

    /// Looks up the name again with `resolver` from now on. The caller has just looked up the address of the series.
    pub(super) fn set_resolver(&mut self, resolver: NameResolver) {
        self.name = Some(Name::new(resolver));
    }

    /// Whether the client looks up the name of the target again.
    pub(super) fn has_name(&self) -> bool {
        self.name.is_some()
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(super) fn config(&self) -> &OpenConfig<'a> {
        &self.config
    }

    /// Opens a second channel to the measured address. The current channel stays open.
    pub(super) fn open_second(&self) -> Option<PeerAttempt> {
        let address = self.address?;
        let attempt = (self.open)(address, self.config_beside()).unwrap_or_else(failed_attempt);
        Some(PeerAttempt::to_same_address(Some(address), attempt))
    }

    /// The local address of the channel for the next request, if the channel is open.
    pub(super) fn next_local_address(&self) -> Option<SocketAddr> {
        self.next_attempt.as_ref()?.local()
    }

    /// Sets the attempt for the next request.
    pub(super) fn set_next(&mut self, attempt: PeerAttempt) {
        self.next_attempt = Some(attempt);
    }

    /// An attempt to open a channel for the next request. `None` if another thread still tries to open one.
    pub(super) fn next(&mut self, time: LookUpTime) -> Option<OpenAttempt> {
        if let Some(attempt) = self.next_attempt.take() {
            return Some(self.accept(attempt));
        }
        let finished = self.take_finished().and_then(|finished| finished.attempt);
        if let Some(attempt) = finished {
            let is_open = attempt.attempt.transport.is_ok();
            if is_open || self.must_not_wait() {
                let attempt = self.accept(attempt);
                if !is_open {
                    // The next attempt starts immediately.
                    self.start_if_due(OpenWhen::Always, None);
                }
                return Some(attempt);
            }
        }
        if self.must_not_wait() {
            self.start_if_due(OpenWhen::Always, None);
            return None;
        }
        let looks_up = time == LookUpTime::Now && !self.has_schedule;
        let resolver = if looks_up { self.take_resolver() } else { None };
        self.set_look_up_is_missing(resolver.is_none());
        let opening = Opening {
            open: self.open,
            address: self.address,
            resolver,
            choice: self.choice(self.last_failure.is_some()),
            look_up_timeout: self.timeout,
            when: OpenWhen::Always,
        };
        let (resolver, attempt) = opening.run(self.config);
        self.return_resolver(resolver);
        attempt.map(|attempt| self.accept(attempt))
    }

    /// The failure of a request without a channel, while another thread tries to open one.
    pub(super) fn no_channel(&self) -> Failure {
        let (condition, origin) = self.last_failure.unwrap_or((Condition::Silent, None));
        let context = Some(FailureContext::NotTried);
        Failure { origin, context, ..Failure::new(condition, Duration::ZERO) }
    }

    /// Records whether the attempt for a request opened a channel.
    pub(super) fn attempt_used(&mut self, failure: Option<&Failure>) {
        self.last_failure = failure.map(|failure| (failure.condition, failure.origin));
    }

    /// Records the number of replies on a channel.
    pub(super) fn replies_received(&mut self, replies: u64) {
        self.has_replied |= replies > 0;
    }

    /// Looks up the name if the current channel was opened without a look-up. Returns whether the name has another
    /// address. A new channel then uses this address. With a schedule, another thread looks up the name and opens the
    /// new channel, and this function returns false. `local` is the local address of the current channel.
    pub(super) fn name_has_changed(&mut self, local: Option<SocketAddr>) -> bool {
        if !self.name.as_ref().is_some_and(|name| name.look_up_is_missing) {
            return false;
        }
        if self.has_schedule {
            let is_started = self.start_if_due(OpenWhen::NameChanged, local);
            self.set_look_up_is_missing(!is_started);
            return false;
        }
        let Some(mut resolver) = self.take_resolver() else { return false };
        self.set_look_up_is_missing(false);
        let limits = LookUpLimits { timeout: self.timeout, stop: self.config.stop };
        let selected = resolver.address(self.address, AddressChoice::KeepCurrent, limits);
        self.return_resolver(Some(resolver));
        match selected {
            Ok(selected) if Some(selected.address) != self.address => {
                self.change_address(selected.address, AddressChangeReason::NameChanged);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Opens a channel without a look-up. Call this function after [`Opener::name_has_changed`] has returned true.
    pub(super) fn open_changed(&mut self) {
        if let Some(address) = self.address {
            let attempt = (self.open)(address, self.config).unwrap_or_else(failed_attempt);
            self.set_next(PeerAttempt::to_same_address(Some(address), attempt));
        }
    }

    /// A connection was opened without a look-up. The next call of [`Opener::name_has_changed`] looks up the name.
    pub(super) fn look_up_is_missing(&mut self) {
        self.set_look_up_is_missing(true);
    }

    /// The changes of the address since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<AddressChange> {
        std::mem::take(&mut self.changes)
    }

    /// The configuration of a second channel. The current channel already uses the local port that the user has
    /// selected.
    fn config_beside(&self) -> OpenConfig<'static> {
        self.config.with_any_local_port().without_interrupt()
    }

    /// Takes the resolver for a look-up, if one is due.
    fn take_resolver(&mut self) -> Option<NameResolver> {
        let has_address = self.address.is_some();
        self.name.as_mut()?.take_resolver(has_address)
    }

    fn return_resolver(&mut self, resolver: Option<NameResolver>) {
        if let Some(name) = &mut self.name {
            name.return_resolver(resolver);
        }
    }

    fn set_look_up_is_missing(&mut self, is_missing: bool) {
        if let Some(name) = &mut self.name {
            name.look_up_is_missing = is_missing;
        }
    }

    /// Whether the attempts run in another thread.
    fn must_not_wait(&self) -> bool {
        self.has_schedule && self.last_failure.is_some()
    }

    /// Which address to use next. `is_failing` states whether the last attempt with the measured address failed.
    fn choice(&self, is_failing: bool) -> AddressChoice {
        if self.tries_other_addresses && is_failing && !self.has_replied {
            AddressChoice::Next
        } else {
            AddressChoice::KeepCurrent
        }
    }

    /// Uses the address of `attempt` from now on.
    fn accept(&mut self, attempt: PeerAttempt) -> OpenAttempt {
        if let Some(address) = attempt.address.filter(|address| Some(*address) != self.address) {
            self.change_address(address, attempt.reason);
        }
        attempt.attempt
    }

    fn change_address(&mut self, new: SocketAddr, reason: AddressChangeReason) {
        let old = self.address.replace(new);
        self.has_replied = false;
        let host = self.name.as_ref().map(|name| name.host.clone()).unwrap_or_default();
        let (protocol, time) = (self.protocol, Stamp::just_before());
        self.changes.push(AddressChange { protocol, host, old, new, time, reason });
    }
}

/// Opens a transport.
///
/// # Errors
///
/// At the start of a run, an error that is not about the peer or a limit of this host.
pub(in crate::engine::series) fn open_at(
    position: RunPosition,
    open: Open,
    address: SocketAddr,
    config: OpenConfig<'_>,
) -> Result<OpenAttempt, SocketError> {
    match (open(address, config), position) {
        (Err(error), RunPosition::Start) => Err(error),
        (attempt, _) => Ok(attempt.unwrap_or_else(failed_attempt)),
    }
}

/// The failed attempt to open a transport in the middle of a run.
fn failed_attempt(error: SocketError) -> OpenAttempt {
    let failure = failure_from_socket_error(error, Duration::ZERO);
    OpenAttempt { connection: None, transport: Err(failure) }
}

#[cfg(test)]
mod tests;
