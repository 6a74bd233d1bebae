//! [`Connections`]: opens, replaces and closes the channel of a series.

mod close_reason;
mod event;
mod opener;
mod reply_limit;
mod statistics;

use crate::analysis::request_tracker::MAX_STORED_STATES;
use crate::analysis::statistics::Distribution;
use crate::engine::channel::{Channel, ClosedChannel};
use crate::model::address_change::AddressChange;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::{Connection, ConnectionPosition};
use crate::model::failure_context::FailureContext;
use crate::model::protocol::Protocol;
use crate::model::receive_queue::{ReceiveDrops, ReceiveQueue};
use crate::model::traffic::{KernelStatistics, Traffic};
use crate::net::limitation::Limitation;
use crate::net::resolve::NameResolver;
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::plan::{Lifetime, Plan};
pub(super) use close_reason::CloseReason;
use event::{ConnectionEvent, EventKind};
use opener::{FinishedOpening, Opener};
pub(super) use opener::{LookUpTime, PeerAttempt, open_at};
use reply_limit::ReplyLimit;
use statistics::ConnectionStatistics;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The longest wait for the server to close its side of a connection. The client has closed the other side.
const MAX_CLOSE_WAIT: Duration = Duration::from_secs(1);

/// The largest number of requests without a reply on one connection. The request tracker stores the states of the same
/// number of requests.
const MAX_UNANSWERED: usize = MAX_STORED_STATES;

/// The largest number of local addresses that are stored. One exchange opens fewer channels.
const MAX_LOCAL_ADDRESSES: usize = 16;

/// The function that opens a transport.
pub(super) type Open = fn(SocketAddr, OpenConfig<'_>) -> Result<OpenAttempt, SocketError>;

/// The channels of a series. At most one of them is open.
pub(super) struct Connections<'a> {
    protocol: &'static Protocol,
    opener: Opener<'a>,
    lifetime: Lifetime,
    /// Whether the series sends a request only after the outcome of the previous one is decided.
    one_at_a_time: bool,
    /// The longest wait for the server to close a connection. Without a value, the client does not wait.
    close_timeout: Option<Duration>,
    channel: Option<Channel>,
    /// The address of the last channel.
    channel_address: Option<SocketAddr>,
    /// The limitations of all channels, each once.
    limitations: Vec<Limitation>,
    reply_limit: ReplyLimit,
    /// Events that are not yet logged and reported. They can occur between the two timestamps of an exchange, so the
    /// client logs and reports them later.
    events: Vec<ConnectionEvent>,
    local_addresses: VecDeque<SocketAddr>,
    /// The packet counts of the channels that have ended. `None` if the counts of one of these channels are unknown.
    ended_traffic: Option<Traffic>,
    ended_statistics: Option<KernelStatistics>,
    /// The replies that the receive queues of the channels that have ended dropped. `None` if the number is unknown for one
    /// of them.
    ended_drops: Option<ReceiveDrops>,
    receive_queue: Option<ReceiveQueue>,
    /// Whether a channel was opened since the last call of [`Connections::take_opened`].
    has_opened: bool,
    close_durations: Distribution,
    has_extra_bytes: bool,
}

/// Whether a run has already measured. An error that occurs later never ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum RunPosition {
    Start,
    Middle,
}

/// The channel for the next request.
pub(super) enum Ready<'a> {
    Open(&'a mut Channel),
    /// The channel could not be opened.
    Failed(Failure),
    /// The user has interrupted the attempt to open the channel.
    Interrupted,
}

/// A channel that has ended before the end of the series.
#[derive(Debug)]
pub(super) struct EndedChannel {
    /// The number of complete replies.
    pub(super) replies: u64,
    /// The number of received bytes of an incomplete reply.
    pub(super) partial_reply_len: usize,
}

impl<'a> Connections<'a> {
    /// Channels whose first attempt is `first`. The first call of [`Connections::ready`] returns its result.
    pub(super) fn new(
        open: Open,
        plan: &Plan,
        address: Option<SocketAddr>,
        config: OpenConfig<'a>,
        first: OpenAttempt,
    ) -> Self {
        let settings = &plan.settings;
        let is_single_exchange = settings.count == Some(1);
        Self {
            protocol: plan.protocol,
            opener: Opener::new(open, plan, address, config, first),
            lifetime: settings.lifetime,
            one_at_a_time: plan.pacing.waits_for_replies(),
            close_timeout: (!is_single_exchange).then(|| MAX_CLOSE_WAIT.min(settings.timeout)),
            channel: None,
            channel_address: None,
            limitations: Vec::new(),
            reply_limit: ReplyLimit::default(),
            events: Vec::new(),
            local_addresses: VecDeque::new(),
            ended_traffic: Some(Traffic::default()),
            ended_statistics: None,
            ended_drops: Some(ReceiveDrops::default()),
            receive_queue: None,
            has_opened: false,
            close_durations: Distribution::default(),
            has_extra_bytes: false,
        }
    }

    /// Looks up the name of the target again with `resolver`, each time the client opens a new channel.
    pub(super) fn set_resolver(&mut self, resolver: NameResolver) {
        self.opener.set_resolver(resolver);
    }

    /// Whether the client looks up the name of the target again.
    pub(super) fn has_name(&self) -> bool {
        self.opener.has_name()
    }

    /// The measured address. `None` as long as the name has none.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.opener.address()
    }

    /// Returns the channel for the next request. Opens a new channel if the open one cannot be used.
    pub(super) fn ready(&mut self, time: LookUpTime) -> Ready<'_> {
        if let Some(reason) =
            self.channel.as_ref().and_then(|channel| self.reason_to_replace(channel))
        {
            self.close(reason);
        }
        // Each handshake is a new connection, but all of them use one channel.
        if self.protocol.is_handshake() && self.channel.as_ref().is_some_and(Channel::has_sent) {
            self.opener.look_up_is_missing();
        }
        if let Some(channel) = &self.channel
            && time == LookUpTime::Now
            && self.opener.name_has_changed(channel.local())
        {
            self.close(CloseReason::AddressChanged);
            self.opener.open_changed();
        }
        if self.channel.is_none() {
            let Some(attempt) = self.opener.next(time) else {
                return Ready::Failed(self.with_context(self.opener.no_channel()));
            };
            let is_stopped = self.opener.config().stop.load(Ordering::Relaxed);
            if attempt.transport.is_err() && is_stopped {
                return Ready::Interrupted;
            }
            let result = self.channel_of(attempt);
            self.opener.attempt_used(result.as_ref().err());
            match result {
                Ok(channel) => self.channel = Some(channel),
                Err(failure) => return Ready::Failed(failure),
            }
        }
        let channel = self.channel.as_mut();
        Ready::Open(channel.expect("the lines above open a channel or return"))
    }

    /// Sets the attempt whose channel the next call of [`Connections::ready`] returns, after the open channel has ended.
    pub(super) fn set_next(&mut self, attempt: PeerAttempt) {
        self.opener.set_next(attempt);
    }

    /// Opens a second channel to the measured address. The current channel stays open.
    pub(super) fn open_second(&self) -> Option<PeerAttempt> {
        self.opener.open_second()
    }

    /// Looks up the name and opens a second channel in another thread. The current channel stays open.
    pub(super) fn start_second(&mut self) {
        let Some(channel) = &self.channel else { return };
        self.opener.replies_received(channel.replies());
        self.opener.start_background(channel.local());
    }

    /// Whether another thread looks up the name or opens a channel.
    pub(super) fn has_background(&self) -> bool {
        self.opener.has_background()
    }

    /// The result of the other thread, if it is available.
    pub(super) fn take_finished(&mut self) -> Option<FinishedOpening> {
        self.opener.take_finished()
    }

    /// The changes of the measured address since the last call.
    pub(super) fn take_address_changes(&mut self) -> Vec<AddressChange> {
        self.opener.take_changes()
    }

    /// The local address of the open channel.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.channel.as_ref()?.local()
    }

    /// The open channel.
    pub(super) fn channel(&mut self) -> Option<&mut Channel> {
        self.channel.as_mut()
    }

    /// Removes the open channel, because its connection has ended or cannot be used again.
    pub(super) fn end(&mut self, reason: CloseReason) -> Option<EndedChannel> {
        let channel = self.channel.take()?;
        self.record_end(&channel, reason);
        let replies = channel.replies();
        if reason == CloseReason::ByServer(Condition::Closed) && replies > 0 {
            self.reply_limit.closed_after(replies);
        }
        Some(EndedChannel { replies, partial_reply_len: channel.partial_reply_len() })
    }

    /// Closes the open channel, and waits until the server has closed its side of the connection.
    pub(super) fn close(&mut self, reason: CloseReason) {
        let Some(channel) = self.channel.take() else { return };
        self.record_end(&channel, reason);
        let Some(timeout) = self.close_timeout else { return };
        let ClosedChannel { duration, has_extra_bytes } =
            channel.close(timeout, self.opener.config().stop);
        self.has_extra_bytes |= has_extra_bytes;
        if let Some(duration) = duration {
            self.close_durations.add(duration);
        }
    }

    /// The connections that were requested since the last call. Also logs the connection events since then. Do not
    /// call this function between the two timestamps of an exchange, because logging takes time.
    pub(super) fn new_connections(&mut self) -> impl Iterator<Item = Connection> + '_ {
        let protocol = self.protocol.name;
        self.events.drain(..).filter_map(move |event| {
            event.log(protocol);
            event.connection()
        })
    }

    /// The local addresses of the channels that were opened since the last call, at most
    /// [`MAX_LOCAL_ADDRESSES`].
    pub(super) fn take_local_addresses(&mut self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.local_addresses.drain(..)
    }

    /// Whether the last exchange was the first one on the open connection. `None` without an open connection.
    pub(super) fn exchange_position(&self) -> Option<ConnectionPosition> {
        let channel = self.channel.as_ref().filter(|_| self.protocol.has_connections())?;
        let is_first = channel.replies() <= 1;
        Some(if is_first { ConnectionPosition::First } else { ConnectionPosition::Later })
    }

    /// The local address of the first channel. `None` if the channel could not be opened. Also `None` after the first
    /// request.
    pub(super) fn first_local_address(&self) -> Option<SocketAddr> {
        self.opener.next_local_address()
    }

    /// Whether a channel was opened since the last call.
    pub(super) fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.has_opened)
    }

    /// The limitations of all channels so far, each once.
    pub(super) fn limitations(&self) -> &[Limitation] {
        &self.limitations
    }

    /// The packet counts of all channels, if they are known.
    pub(super) fn traffic(&self) -> Option<Traffic> {
        let current = match &self.channel {
            Some(channel) => channel.traffic()?,
            None => Traffic::default(),
        };
        Some(self.ended_traffic? + current)
    }

    /// The kernel's information about the open connection.
    pub(super) fn kernel_statistics(&self) -> Option<KernelStatistics> {
        self.channel.as_ref()?.kernel_statistics()
    }

    /// The statistics of all channels that have ended.
    pub(super) fn finish(self) -> ConnectionStatistics {
        ConnectionStatistics {
            kernel_statistics: self.ended_statistics,
            receive_drops: self.ended_drops,
            receive_queue: self.receive_queue,
            close_durations: self.close_durations,
            reply_limit: self.reply_limit.confirmed,
            limitations: self.limitations,
            has_extra_bytes: self.has_extra_bytes,
        }
    }

    /// The reason why this channel cannot be used for the next request, if there is one.
    fn reason_to_replace(&self, channel: &Channel) -> Option<CloseReason> {
        if self.lifetime == Lifetime::Each && self.protocol.has_connections() && channel.has_sent()
        {
            return Some(CloseReason::OnePerExchange);
        }
        // With several requests in flight, the client cannot close the connection before the server does.
        if let Some(limit) = self.reply_limit.confirmed.filter(|_| self.one_at_a_time)
            && channel.replies() >= limit
        {
            return Some(CloseReason::ReplyLimit(limit));
        }
        (channel.unanswered() >= MAX_UNANSWERED).then_some(CloseReason::TooManyUnanswered)
    }

    fn channel_of(&mut self, attempt: OpenAttempt) -> Result<Channel, Failure> {
        let OpenAttempt { connection, transport } = attempt;
        let established = connection.as_ref().and_then(Connection::established);
        let result = transport.map(|transport| {
            Channel::new(transport, self.protocol.framing).established_at(established)
        });
        let address = self.opener.address();
        if let Some(connection) = connection {
            let kind = match &result {
                Ok(channel) => EventKind::Opened { connection, local: channel.local() },
                Err(failure) => EventKind::Failed { connection, condition: failure.condition },
            };
            self.events.push(ConnectionEvent { address, kind });
        }
        let channel = result.map_err(|failure| self.with_context(failure))?;
        self.has_opened = true;
        self.channel_address = address;
        self.receive_queue = channel.receive_queue().or(self.receive_queue);
        for limitation in channel.limitations() {
            if !self.limitations.contains(&limitation) {
                self.limitations.push(limitation);
            }
        }
        if self.local_addresses.len() == MAX_LOCAL_ADDRESSES {
            self.local_addresses.pop_front();
        }
        self.local_addresses.extend(channel.local());
        Ok(channel)
    }

    /// Adds the context that no connection is open. Without an address, there was no attempt to connect.
    fn with_context(&self, failure: Failure) -> Failure {
        let is_about_connection =
            self.protocol.has_connections() && self.opener.address().is_some();
        let context = is_about_connection.then_some(FailureContext::NoConnection);
        Failure { context: failure.context.or(context), ..failure }
    }

    /// Records the end of a channel, and adds the kernel's statistics about the channel.
    fn record_end(&mut self, channel: &Channel, reason: CloseReason) {
        let replies = channel.replies();
        self.opener.replies_received(replies);
        if self.protocol.has_connections() {
            let kind = EventKind::Ended { reason, replies };
            self.events.push(ConnectionEvent { address: self.channel_address, kind });
        }
        self.ended_drops = self.ended_drops.zip(channel.drops()).map(|(ended, last)| ended + last);
        let traffic = self.ended_traffic.zip(channel.traffic());
        self.ended_traffic = traffic.map(|(earlier, current)| earlier + current);
        if let Some(info) = channel.kernel_statistics() {
            self.ended_statistics = Some(info.with_earlier_connections(self.ended_statistics));
        }
    }
}

#[cfg(test)]
mod tests;
