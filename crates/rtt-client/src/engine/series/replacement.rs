//! [`ChannelReplacement`]: replaces a channel that does not work, if a new channel works.
//!
//! [`PathWatch`] decides when the client tries another channel. The result of this attempt is the evidence:
//!
//! - With connections, a new connection is established. The attempt can take as long as the timeout, so another thread
//!   waits for it. Meanwhile the series continues on the old channel. If a message arrives there, the new connection is
//!   not used.
//! - Without connections, an attempt sends no packet. A new socket replaces the old one only if the system has chosen
//!   another source address for it. Otherwise, its packets would take the same way.
//!
//! If the target has a name, another thread looks it up, and then opens the new channel. If the name has another
//! address, the new channel uses this address and replaces the old one.
//!
//! If the attempt fails, the client keeps the old channel, and tries again later.

use super::connections::{CloseReason, PeerAttempt};
use super::path_watch::{AttemptCost, PathWatch};
use super::{Series, Sink};
use crate::engine::run::RunError;
use crate::model::address_change::AddressChangeReason;
use crate::model::replacement::{Replacement, ReplacementEvidence, ReplacementReason};
use crate::net::system::WaitUntil;
use crate::plan::{Lifetime, Plan};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tracing::debug;

/// The longest wait for a message while another thread opens a connection. Then the client checks its result.
const MAX_WAIT_DURING_ATTEMPT: Duration = Duration::from_millis(5);

/// Decides when the client tries to replace the open channel.
#[derive(Debug)]
pub(super) struct ChannelReplacement {
    watch: PathWatch,
    /// If each exchange has its own connection, there is nothing to replace. If each exchange is a handshake, only the
    /// address of a name can change.
    is_enabled: bool,
}

impl ChannelReplacement {
    pub(super) fn new(plan: &Plan) -> Self {
        let has_connections = plan.protocol.has_connections();
        let cost = if has_connections { AttemptCost::Packets } else { AttemptCost::Local };
        Self {
            watch: PathWatch::new(cost, plan.settings.timeout),
            is_enabled: if has_connections {
                plan.settings.lifetime == Lifetime::Keep
            } else {
                !plan.protocol.is_handshake() || plan.target.ip().is_none()
            },
        }
    }

    /// See [`PathWatch::message_received`].
    pub(super) fn message_received(&mut self, seq: Option<u64>, at: Instant) {
        self.watch.message_received(seq, at);
    }

    /// See [`PathWatch::request_expired`].
    pub(super) fn request_expired(&mut self, seq: u64) {
        self.watch.request_expired(seq);
    }
}

impl Series<'_> {
    /// Tries another channel if the open one seems not to work. Replaces the open one if the attempt was successful.
    pub(super) fn replace_dead_channel(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        self.finish_attempt(sink)?;
        let Some(reason) = self.replacement.watch.suspicion(Instant::now) else { return Ok(()) };
        // Without an open channel, the next request opens one.
        if self.connections.has_background() || self.connections.channel().is_none() {
            return Ok(());
        }
        let is_due = self.replacement.watch.start_attempt(reason, Instant::now());
        if !is_due || !self.replacement.is_enabled {
            return Ok(());
        }
        if !self.protocol.has_connections() && !self.connections.has_name() {
            self.replace_socket(reason);
            return Ok(());
        }
        let address = self.connections.address().map(tracing::field::display);
        debug!(protocol = self.protocol.name, address, "trying another channel");
        self.connections.start_second();
        Ok(())
    }

    /// Replaces a socket without a connection after an error of this host. Returns whether it was replaced. If the target has
    /// a name, another thread also looks it up.
    pub(super) fn replace_after_send_error(&mut self) -> bool {
        let reason = ReplacementReason::NotSent;
        if !self.replacement.watch.start_attempt(reason, Instant::now()) {
            return false;
        }
        let is_replaced = self.replace_socket(reason);
        if !is_replaced && self.connections.has_name() {
            self.connections.start_second();
        }
        is_replaced
    }

    /// Limits a wait for a message, so that the client soon uses the result of an attempt in another thread.
    pub(super) fn limited_during_attempt(&self, until: WaitUntil) -> WaitUntil {
        if !self.connections.has_background() {
            return until;
        }
        let end = Instant::now() + MAX_WAIT_DURING_ATTEMPT;
        if until.deadline() > end { WaitUntil::Exact(end) } else { until }
    }

    /// Uses the result of an attempt in another thread, if it is available and a channel is open. Without an open channel,
    /// the next request uses the result.
    fn finish_attempt(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let suspicion = self.replacement.watch.suspicion(Instant::now);
        let Some(channel) = self.connections.channel() else { return Ok(()) };
        // The requests of a connection can be sent again only if it has replied (see [`Series::channel_ended`]). The end of
        // a channel for handshakes ends the handshakes in flight.
        let loses_requests = self.protocol.is_handshake()
            || (self.protocol.has_connections() && channel.replies() == 0);
        if loses_requests && self.accounting.in_flight() > 0 && suspicion.is_none() {
            return Ok(());
        }
        let Some(finished) = self.connections.take_finished() else { return Ok(()) };
        // The old channel can have ended or replied meanwhile.
        let is_same = finished.beside.is_some() && self.connections.local() == finished.beside;
        let opened = finished.attempt.filter(|opened| opened.attempt.transport.is_ok() && is_same);
        let Some(opened) = opened else { return Ok(()) };
        let has_new_address = opened.address != self.connections.address();
        let name_has_changed = has_new_address && opened.reason == AddressChangeReason::NameChanged;
        match suspicion {
            None if !name_has_changed => Ok(()),
            _ if has_new_address => {
                self.replacement.watch.replaced();
                self.connections.set_next(opened);
                self.end_replaced_channel(CloseReason::AddressChanged, sink)
            }
            Some(reason) if self.protocol.has_connections() => {
                self.replace(opened, reason, ReplacementEvidence::Established);
                self.channel_ended(CloseReason::Replaced, sink)
            }
            Some(reason) => {
                self.replace_socket_by(opened, reason);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn end_replaced_channel(
        &mut self,
        reason: CloseReason,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        if self.protocol.has_connections() {
            return self.channel_ended(reason, sink);
        }
        // Replies to the requests in flight go to the old socket, so they cannot arrive. These requests stay in flight until
        // their timeout.
        self.connections.end(reason);
        Ok(())
    }

    /// Replaces the socket if a new one has another source address. Returns whether it was replaced.
    fn replace_socket(&mut self, reason: ReplacementReason) -> bool {
        let opened = self.connections.open_second();
        opened.is_some_and(|opened| self.replace_socket_by(opened, reason))
    }

    /// Replaces the socket by the new one if the new one has another source address. Returns whether it was replaced.
    fn replace_socket_by(&mut self, opened: PeerAttempt, reason: ReplacementReason) -> bool {
        let new = opened.local();
        let (Some(old), Some(new)) = (self.connections.local(), new) else { return false };
        if old.ip() == new.ip() {
            return false;
        }
        self.replace(opened, reason, ReplacementEvidence::OtherSource);
        // Replies to the requests in flight have the old address, so they cannot arrive. These requests stay in flight
        // until their timeout.
        self.connections.end(CloseReason::Replaced);
        true
    }

    /// Records a replacement. The channel of `opened` is used after the end of the open channel.
    fn replace(
        &mut self,
        opened: PeerAttempt,
        reason: ReplacementReason,
        evidence: ReplacementEvidence,
    ) {
        let source = |local: Option<SocketAddr>| local.map(|local| local.ip());
        let new = opened.local();
        let replacement = Replacement {
            after: self.pacer.start().elapsed(),
            reason,
            evidence,
            old_source: source(self.connections.local()),
            new_source: source(new),
        };
        debug!(protocol = self.protocol.name, %replacement, "channel replaced");
        self.accounting.channel_replaced(replacement);
        self.replacement.watch.replaced();
        self.connections.set_next(opened);
    }
}
