//! [`Series`]: the exchanges of a run with one address.
//!
//! A series has five parts. Each part has its own state:
//!
//! - [`Pacer`]: when to send the next request, and when the series ends
//! - [`Connections`]: the channel to the server
//! - [`ChannelReplacement`]: whether a new channel replaces one that does not work
//! - [`Accounting`]: the outcome of each request, and the counts
//! - [`UninstrumentedControl`]: exchanges with neither kernel timestamps nor timing headers
//!
//! `Series` calls these parts. This file contains the loop. [`exchange`] sends requests and processes received
//! messages.

mod channel_config;
mod closing_request;
mod connections;
mod control;
mod exchange;
mod first_channel;
mod first_packet;
mod network_errors;
mod notes;
mod other_address;
mod other_service;
mod path_watch;
mod replacement;
mod second_send;

use super::pause_until;
use super::run::RunError;
use crate::analysis::accounting::{Accounting, AccountingResult};
use crate::analysis::schedule::{CpuTimes, SlowHost, slow_host};
use crate::analysis::statistics::{NotableReplies, SeriesMeasurements, Summary};
use crate::model::address_change::AddressChange;
use crate::model::exchange::{Connection, Exchange};
use crate::model::loss_place::LossPlace;
use crate::model::protocol::{Framing, Protocol, ReplyForm};
use crate::model::traffic::{KernelStatistics, Traffic};
use crate::net::limitation::Limitation;
use crate::net::system::{KERNEL_TIMESTAMPS, ThreadUsage, WaitUntil, clock_state, thread_usage};
use crate::plan::pacing::{Pacer, Pacing};
use crate::plan::payload::{Matching, Payload};
use crate::plan::{Content, EchoForm, Settings};
use crate::protocol::explanations::explanations_of;
pub(in crate::engine) use connections::RunPosition;
use connections::{CloseReason, Connections};
use control::UninstrumentedControl;
pub(in crate::engine) use first_channel::FirstChannel;
use first_packet::FirstPacket;
pub(in crate::engine) use notes::{INTERRUPTED, full_queue};
use notes::{SeriesEnd, ServerCounts, Token, notes};
use other_address::OtherReplies;
use other_service::OtherService;
use replacement::ChannelReplacement;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After its last exchange, a series still receives late and duplicate replies. This phase lasts for [`LISTEN_RTTS`]
/// times the longest RTT. This constant is its minimum duration.
const MIN_LISTEN: Duration = Duration::from_millis(10);

/// See [`MIN_LISTEN`].
const LISTEN_RTTS: u32 = 3;

/// The report writes its buffered output only before a pause that is longer than this. A write takes much less time
/// than this pause.
const MIN_IDLE: Duration = Duration::from_millis(1);

/// Receives the events of a series. A series that waits for replies never calls these functions between the two
/// timestamps of an exchange.
pub(in crate::engine) trait Sink {
    /// A connection was requested.
    fn connection(&mut self, connection: Connection) -> io::Result<()>;
    /// The series uses another address from now on.
    fn address_changed(&mut self, change: &AddressChange) -> io::Result<()>;
    /// The outcome of a request is decided.
    fn exchange(&mut self, exchange: Exchange) -> io::Result<()>;
    /// The summary so far, and the time since the start of the series.
    fn progress(&mut self, summary: &Summary, elapsed: Duration) -> io::Result<()>;
    /// A pause starts.
    fn idle(&mut self) -> io::Result<()>;
}

/// The exchanges of a run with one address.
pub(in crate::engine) struct Series<'a> {
    protocol: &'static Protocol,
    stop: &'a AtomicBool,
    settings: Settings,
    pacing: Pacing,
    payload: Payload,
    pacer: Pacer,
    connections: Connections<'a>,
    replacement: ChannelReplacement,
    accounting: Accounting,
    other_replies: OtherReplies,
    control: Option<UninstrumentedControl<'a>>,
    first_packet: FirstPacket,
    other_service: OtherService,
    replies: NotableReplies,
    /// The CPU times of this thread at the start of a series with a fixed rate.
    usage_at_start: Option<ThreadUsage>,
    /// The part of this host that could not keep up with the schedule.
    slow_host: Option<SlowHost>,
    /// A lost exchange that is not reported yet, because the next reply can show where it was lost.
    held: Option<Exchange>,
    last_progress: Instant,
    /// Whether the series ended before all planned requests were sent, because the server is unreachable.
    ended_early: bool,
    /// Whether the user ended the series before it was complete.
    interrupted: bool,
}

impl Series<'_> {
    /// The local address of the first channel. `None` if the channel could not be opened. Also `None` after the first
    /// request.
    pub(in crate::engine) fn local(&self) -> Option<SocketAddr> {
        self.connections.first_local_address()
    }

    /// Runs until the series is complete, or until `stop` is set.
    pub(in crate::engine) fn run(
        mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<Summary, RunError> {
        sink.idle()?;
        if !self.pacing.waits_for_replies() {
            self.usage_at_start = thread_usage();
        }
        self.pacer.restart(Instant::now());
        let stopped = || stop.load(Ordering::Relaxed);
        while !stopped() && !self.is_finished() {
            let due = self.pacer.due();
            self.wait_until(self.pacer.earliest(due), sink, stop)?;
            if stopped() || self.is_finished() {
                break;
            }
            if self.control_is_due() {
                self.run_control(stop);
            } else {
                self.send(due, sink)?;
            }
        }
        self.slow_host = self.find_slow_host();
        // A reply to a request in flight can still arrive, but the decision to end the series does not change.
        self.ended_early = !stopped()
            && self.accounting.is_unreachable()
            && !self.pacer.is_finished(Instant::now());
        // With a fixed rate, several requests can be in flight at the end.
        while !stopped() && self.accounting.in_flight() > 0 {
            if let Some(expiry) = self.accounting.next_expiry() {
                self.receive(WaitUntil::Exact(expiry), sink)?;
            }
            self.expire(sink)?;
            self.replace_dead_channel(sink)?;
        }
        self.interrupted = stopped()
            && (self.accounting.in_flight() > 0 || !self.pacer.is_finished(Instant::now()));
        if !stopped() && self.settings.duration.is_none() && self.control_is_due() {
            self.run_control(stop);
        }
        self.end(sink, stop)
    }

    /// Performs one exchange. Returns when its outcome is decided, or when `stop` is set.
    pub(in crate::engine) fn once(
        &mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let due = self.pacer.earliest(Instant::now());
        pause_until(due, stop);
        self.send(due, sink)?;
        self.wait_until(due, sink, stop)
    }

    /// Receives late and duplicate replies, closes the channel, and returns the summary.
    pub(in crate::engine) fn end(
        mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<Summary, RunError> {
        self.receive_late_replies(sink, stop)?;
        self.send_closing_request(sink)?;
        self.report_held(sink)?;
        self.finish_other_replies();
        self.connections.close(CloseReason::EndOfSeries);
        self.report_connections(sink)?;

        let server_counts = self.server_counts();
        let replies_from_others = self.other_replies.take_counts();
        let port = self.connections.address().map_or(0, |address| address.port());
        let connections = self.connections.finish();
        let reply_form = self.payload.reply_form().filter(|_| self.protocol.program_replies());
        let in_flight = self.accounting.in_flight();
        let AccountingResult { mut summary, loss_pattern } =
            self.accounting.finish(connections.receive_drops, clock_state(), Instant::now());
        summary.in_flight = in_flight as u64;
        summary.replies.add(&self.replies);
        let end = SeriesEnd {
            interrupted: self.interrupted,
            in_flight,
            ended_early: self.ended_early,
            is_plain_echo: self.settings.echo == EchoForm::Auto
                && reply_form == Some(ReplyForm::Unchanged),
            // Echo replies contain a token, so other bytes never count as a reply.
            has_extra_bytes: connections.has_extra_bytes && self.payload.service().is_some(),
            reply_limit: connections.reply_limit,
            limitations: connections.limitations,
            breakdown_unavailable: self.settings.breakdown && !KERNEL_TIMESTAMPS,
            missing_replies: loss_pattern
                .filter(|_| summary.lost_where.at(LossPlace::Unknown) > 0)
                .map(|pattern| explanations_of(self.protocol).missing_replies(pattern)),
            server_counts,
            token: self.payload.token_bits().map(|bits| Token {
                bits,
                has_message: !matches!(self.settings.content, Content::Sized(_)),
            }),
            shows_wrong_reply: summary.received == 0 && self.other_service.shows_reply(),
            other_service: self
                .other_service
                .describe(self.protocol, port)
                .filter(|_| summary.received == 0),
            is_matched_in_order: self.protocol.framing == Framing::Datagrams
                && self.payload.matching() == Matching::InOrder
                && summary.sent > 1,
            handshake_pacing: self.protocol.is_handshake().then_some(self.pacing),
            replies_from_others,
        };
        let address_resolution = self.first_packet.finish(summary.received > 0);
        let measurements = SeriesMeasurements {
            address_resolution,
            close: connections.close_durations,
            rtt_without_timestamps: self
                .control
                .map(UninstrumentedControl::finish)
                .unwrap_or_default(),
            kernel_statistics: connections.kernel_statistics,
            receive_queue: connections.receive_queue,
            slow_host: self.slow_host,
            reply_form,
            send_duration: self.pacer.send_duration(),
            notes: notes(end, &summary, address_resolution),
        };
        Ok(summary.finish_series(measurements))
    }

    /// Whether the server reported its counts.
    fn server_counts(&self) -> ServerCounts {
        let can_report = self.protocol.framing == Framing::Datagrams
            && self.protocol.program_replies()
            && self.payload.reply_form() != Some(ReplyForm::Unchanged);
        match (&self.settings.content, self.payload.requests_counts()) {
            _ if !can_report || !self.settings.locate_losses => ServerCounts::NotApplicable,
            (Content::Request(_) | Content::Service(_) | Content::Handshake, _) => {
                ServerCounts::NotApplicable
            }
            (_, true) if self.accounting.losses().has_counts() => ServerCounts::Reported,
            (_, true) => ServerCounts::NotReported,
            (Content::Sized(_), false) => ServerCounts::NoSpace,
            (Content::Message(_) | Content::Numbered(_), false) => ServerCounts::Message,
        }
    }

    /// See [`Accounting::is_unreachable`].
    pub(in crate::engine) fn is_unreachable(&self) -> bool {
        self.accounting.is_unreachable()
    }

    /// The parts of the measurement that are missing or different.
    pub(in crate::engine) fn limitations(&self) -> &[Limitation] {
        self.connections.limitations()
    }

    /// The packet counts of all channels so far, if they are known.
    pub(in crate::engine) fn traffic(&self) -> Option<Traffic> {
        self.connections.traffic()
    }

    /// The kernel's information about the open connection.
    pub(in crate::engine) fn kernel_statistics(&self) -> Option<KernelStatistics> {
        self.connections.kernel_statistics()
    }

    /// The local addresses of the channels that were opened since the last call.
    pub(in crate::engine) fn take_local_addresses(
        &mut self,
    ) -> impl Iterator<Item = SocketAddr> + '_ {
        self.connections.take_local_addresses()
    }

    /// The part of this host that could not keep up with the schedule of a fixed rate. Call this after the last request.
    fn find_slow_host(&self) -> Option<SlowHost> {
        let Pacing::FixedRate(rate) = self.pacing else { return None };
        let times = self.usage_at_start.zip(thread_usage()).map(|(start, end)| CpuTimes {
            on_cpu: end.cpu.saturating_sub(start.cpu),
            waiting: end.waiting.saturating_sub(start.waiting),
        });
        let sent = self.accounting.next_seq() - 1;
        slow_host(sent, self.pacer.send_duration(), rate, times)
    }

    fn is_finished(&self) -> bool {
        self.accounting.is_unreachable() || self.pacer.is_finished(Instant::now())
    }

    fn control_is_due(&self) -> bool {
        self.control.as_ref().is_some_and(UninstrumentedControl::is_due)
    }

    fn run_control(&mut self, stop: &AtomicBool) {
        let Some(control) = &mut self.control else { return };
        self.pacer.control_started(Instant::now());
        control.run_exchange(stop);
    }

    /// Receives until `due`. If the series waits for replies, it first receives until the outcome of each request in
    /// flight is known. Returns earlier if the server is unreachable and no request is in flight.
    fn wait_until(
        &mut self,
        due: Instant,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let waits_for_replies = self.pacing.waits_for_replies();
        let due = self.pacer.end().map_or(due, |end| end.min(due));
        // With a fixed rate, the client receives at least once before each request, even if the request is late.
        let mut has_received = waits_for_replies;
        let mut has_waited = false;
        while !stop.load(Ordering::Relaxed) {
            let expiry = self.accounting.next_expiry();
            if waits_for_replies && let Some(expiry) = expiry {
                // Without a message, a coarse wait lasts for the socket's whole receive timeout. After the first wait,
                // less time is left before the request expires.
                let until =
                    if has_waited { WaitUntil::Exact(expiry) } else { WaitUntil::Coarse(expiry) };
                self.receive(until, sink)?;
                has_waited = true;
            } else {
                let is_aborted = self.is_unreachable() && self.accounting.in_flight() == 0;
                if is_aborted || (has_received && Instant::now() >= due) {
                    return Ok(());
                }
                if due.saturating_duration_since(Instant::now()) > MIN_IDLE {
                    sink.idle()?;
                }
                let until = match expiry {
                    Some(expiry) if expiry < due => WaitUntil::Exact(expiry),
                    _ => WaitUntil::ExactAwake(due, self.pacing.busy_wait()),
                };
                self.receive(until, sink)?;
                has_received = true;
            }
            self.expire(sink)?;
            self.replace_dead_channel(sink)?;
        }
        Ok(())
    }

    /// Receives late and duplicate replies. If the protocol delivers replies in order, there are none. There are no late
    /// handshakes either, because the client closes the socket of a handshake after its timeout.
    fn receive_late_replies(
        &mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let is_single_exchange = self.settings.count == Some(1);
        let has_late_replies = !self.protocol.is_ordered && !self.protocol.is_handshake();
        if is_single_exchange || !has_late_replies || self.accounting.is_unreachable() {
            return Ok(());
        }
        let longest = self.accounting.summary().rtt.max().unwrap_or_default();
        let max_listen = self.settings.timeout.max(MIN_LISTEN);
        let end = Instant::now() + (LISTEN_RTTS * longest).clamp(MIN_LISTEN, max_listen);
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            self.receive(WaitUntil::Exact(end), sink)?;
        }
        Ok(())
    }
}
