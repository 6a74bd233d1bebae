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
//! If the attempt fails, the client keeps the old channel, and tries again later.

use super::connections::{CloseReason, Open};
use super::path_watch::{AttemptCost, PathWatch};
use super::{Series, Sink};
use crate::engine::run::RunError;
use crate::model::replacement::{Replacement, ReplacementEvidence, ReplacementReason};
use crate::net::system::WaitUntil;
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::plan::{Lifetime, Plan};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};
use std::{io, thread};
use tracing::debug;

/// The longest wait for a message while another thread opens a connection. Then the client checks its result.
const MAX_WAIT_DURING_ATTEMPT: Duration = Duration::from_millis(5);

/// Decides whether a new channel replaces the open one.
#[derive(Debug)]
pub(super) struct ChannelReplacement {
    watch: PathWatch,
    /// If each exchange has its own connection, or its own handshake, there is nothing to replace.
    is_enabled: bool,
    attempt: Option<Attempt>,
}

/// A running attempt to open another connection.
#[derive(Debug)]
struct Attempt {
    /// The local address of the channel to replace.
    old: Option<SocketAddr>,
    result: Receiver<Result<OpenAttempt, SocketError>>,
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
                !plan.protocol.is_handshake()
            },
            attempt: None,
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

    /// Limits a wait for a message, so that the result of an attempt is used soon.
    pub(super) fn limit(&self, until: WaitUntil) -> WaitUntil {
        if self.attempt.is_none() {
            return until;
        }
        let end = Instant::now() + MAX_WAIT_DURING_ATTEMPT;
        if until.deadline() > end { WaitUntil::Exact(end) } else { until }
    }
}

impl Attempt {
    /// Opens a channel in another thread. If the series ends earlier, the thread closes the channel.
    fn start(
        open: Open,
        peer: SocketAddr,
        config: OpenConfig<'static>,
        old: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let (sender, result) = mpsc::channel();
        let run = move || {
            // The send fails only if the series has ended.
            let _ = sender.send(open(peer, config));
        };
        thread::Builder::new().name("new connection".to_owned()).spawn(run)?;
        Ok(Self { old, result })
    }
}

impl Series<'_> {
    /// Tries another channel if the open one seems not to work. Replaces the open one if the attempt was successful.
    pub(super) fn replace_dead_channel(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        self.finish_attempt(sink)?;
        let Some(reason) = self.replacement.watch.suspicion(Instant::now) else { return Ok(()) };
        // Without an open channel, the next request opens one.
        if self.replacement.attempt.is_some() || self.connections.channel().is_none() {
            return Ok(());
        }
        let is_due = self.replacement.watch.start_attempt(reason, Instant::now());
        if !is_due || !self.replacement.is_enabled {
            return Ok(());
        }
        if !self.protocol.has_connections() {
            self.replace_socket(reason);
            return Ok(());
        }
        let (open, config) = self.connections.second_channel();
        debug!(protocol = self.protocol.name, address = %self.address, "trying another connection");
        match Attempt::start(open, self.address, config, self.connections.local()) {
            Ok(attempt) => self.replacement.attempt = Some(attempt),
            Err(error) => debug!(%error, "cannot start a thread"),
        }
        Ok(())
    }

    /// Replaces a socket without a connection after an error of this host. Returns whether it was replaced.
    pub(super) fn replace_after_send_error(&mut self) -> bool {
        let reason = ReplacementReason::NotSent;
        self.replacement.watch.start_attempt(reason, Instant::now()) && self.replace_socket(reason)
    }

    /// Uses the result of an attempt, if it is available.
    fn finish_attempt(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let Some(attempt) = &self.replacement.attempt else { return Ok(()) };
        let result = match attempt.result.try_recv() {
            Err(TryRecvError::Empty) => return Ok(()),
            Ok(result) => result.ok(),
            Err(TryRecvError::Disconnected) => None,
        };
        let old = attempt.old;
        self.replacement.attempt = None;
        let opened = result.filter(|result| result.transport.is_ok());
        // The old channel can have ended or replied meanwhile.
        let is_same = old.is_some() && self.connections.local() == old;
        let reason = self.replacement.watch.suspicion(Instant::now).filter(|_| is_same);
        let (Some(opened), Some(reason)) = (opened, reason) else { return Ok(()) };
        self.replace(opened, reason, ReplacementEvidence::Established);
        self.channel_ended(CloseReason::Replaced, sink)
    }

    /// Replaces the socket if a new one has another source address. Returns whether it was replaced.
    fn replace_socket(&mut self, reason: ReplacementReason) -> bool {
        let (open, config) = self.connections.second_channel();
        let Ok(opened) = open(self.address, config) else { return false };
        let new = opened.transport.as_ref().ok().and_then(|transport| transport.local());
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
        opened: OpenAttempt,
        reason: ReplacementReason,
        evidence: ReplacementEvidence,
    ) {
        let source = |local: Option<SocketAddr>| local.map(|local| local.ip());
        let new = opened.transport.as_ref().ok().and_then(|transport| transport.local());
        let replacement = Replacement {
            after: self.pacer.start().elapsed(),
            reason,
            evidence,
            old_source: source(self.connections.local()),
            new_source: source(new),
        };
        debug!(protocol = self.protocol.name, address = %self.address, %replacement, "channel replaced");
        self.accounting.channel_replaced(replacement);
        self.replacement.watch.replaced();
        self.connections.set_next(opened);
    }
}
