//! [`FirstChannel`]: the channel with which a series starts.

use super::Series;
use super::channel_config::config_for;
use super::connections::{Connections, RunPosition, open_at};
use super::control::UninstrumentedControl;
use super::first_packet::FirstPacket;
use super::other_address::OtherReplies;
use super::other_service::OtherService;
use super::replacement::ChannelReplacement;
use crate::analysis::accounting::Accounting;
use crate::analysis::statistics::NotableReplies;
use crate::model::condition::Failure;
use crate::net::resolve::NameResolver;
use crate::net::transport::{OpenAttempt, SocketError};
use crate::plan::Plan;
use crate::plan::pacing::Pacer;
use crate::protocol::driver;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The first channel of a series, or the failed attempt to open it. Another thread can open the channel.
pub(in crate::engine) struct FirstChannel {
    attempt: OpenAttempt,
    first_packet: FirstPacket,
}

impl FirstChannel {
    /// Opens a channel to `address`. When `stop` is set, a wait for the peer ends.
    ///
    /// # Errors
    ///
    /// At the start of a run, an error that is not about the peer or a limit of this host.
    pub(in crate::engine) fn open(
        plan: &Plan,
        address: SocketAddr,
        position: RunPosition,
        stop: &AtomicBool,
    ) -> Result<Self, SocketError> {
        let first_packet = FirstPacket::before(address);
        let config = config_for(plan).interrupted_by(stop);
        let attempt = open_at(position, driver(plan.protocol).open, address, config)?;
        Ok(Self { attempt, first_packet })
    }

    /// The failure, if the channel is not open.
    pub(in crate::engine) fn failure(&self) -> Option<&Failure> {
        self.attempt.transport.as_ref().err()
    }

    /// Closes the channel. Returns the failure, if the channel is not open.
    pub(in crate::engine) fn into_failure(self) -> Option<Failure> {
        self.attempt.transport.err()
    }
}

impl<'a> Series<'a> {
    /// A series to a name that has no address yet, because of `failure`. The first request fails. Each further request looks
    /// up the name again, see [`Series::with_name_look_ups`].
    pub(in crate::engine) fn without_address(
        plan: &Plan,
        failure: Failure,
        stop: &'a AtomicBool,
    ) -> Self {
        let attempt = OpenAttempt { connection: None, transport: Err(failure) };
        let first = FirstChannel { attempt, first_packet: FirstPacket::default() };
        Self::new(plan, None, first, stop)
    }

    /// Looks up the name of the target again each time the series opens a new channel. An address has no name.
    pub(in crate::engine) fn with_name_look_ups(mut self, plan: &Plan) -> Self {
        if let Some(resolver) = NameResolver::of(plan) {
            self.connections.set_resolver(resolver);
        }
        self
    }

    /// Opens the first channel to `address`. A failure of the peer or the route becomes the outcome of the first
    /// exchange. When `stop` is set, each wait for the peer ends.
    ///
    /// # Errors
    ///
    /// At the start of a run, the client cannot run as requested.
    pub(in crate::engine) fn open(
        plan: &Plan,
        address: SocketAddr,
        position: RunPosition,
        stop: &'a AtomicBool,
    ) -> Result<Self, SocketError> {
        let first = FirstChannel::open(plan, address, position, stop)?;
        Ok(Self::with_channel(plan, address, first, stop))
    }

    /// A series that starts with a channel to `address`. When `stop` is set, each wait for the peer ends.
    pub(in crate::engine) fn with_channel(
        plan: &Plan,
        address: SocketAddr,
        first: FirstChannel,
        stop: &'a AtomicBool,
    ) -> Self {
        Self::new(plan, Some(address), first, stop)
    }

    fn new(
        plan: &Plan,
        address: Option<SocketAddr>,
        first: FirstChannel,
        stop: &'a AtomicBool,
    ) -> Self {
        let FirstChannel { attempt, first_packet } = first;
        let settings = &plan.settings;
        let config = config_for(plan).interrupted_by(stop);
        let mut payload = plan.payload.clone();
        payload.start_run(fastrand::u32(..));
        // A fixed rate leaves no time for control exchanges. A single exchange has no median to compare.
        let has_control = config.receiver.timestamps
            && plan.pacing.waits_for_replies()
            && settings.count != Some(1);
        let now = Instant::now();
        Self {
            protocol: plan.protocol,
            stop,
            settings: settings.clone(),
            pacing: plan.pacing,
            payload,
            pacer: Pacer::new(plan.pacing, settings, now),
            connections: Connections::new(
                driver(plan.protocol).open,
                plan,
                address,
                config,
                attempt,
            ),
            replacement: ChannelReplacement::new(plan),
            accounting: Accounting::new(plan),
            usage_at_start: None,
            slow_host: None,
            other_replies: OtherReplies::default(),
            control: has_control.then(|| UninstrumentedControl::new(plan, address, config)),
            first_packet,
            other_service: OtherService::new(plan.expected_server()),
            replies: NotableReplies::default(),
            held: None,
            last_progress: now,
            ended_early: false,
            interrupted: false,
        }
    }
}
