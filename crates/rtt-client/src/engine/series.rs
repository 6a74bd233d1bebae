//! A run of exchanges with one address: when to send, what to make of what comes, when to stop.

mod accounting;
mod connections;
mod control;

use super::channel::Channel;
use super::run::{RunError, unsent_exchange};
use crate::analysis::request_tracker::RequestTracker;
use crate::analysis::statistics::Summary;
use crate::model::breakdown::TimestampId;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::model::icmp::Origin;
use crate::model::protocol::Framing;
use crate::model::traffic::Traffic;
use crate::net::system::{KERNEL_TIMESTAMPS, REPORTS_ICMP_ORIGIN, ReceiveConfig, WaitUntil};
use crate::net::transport::SocketError;
use crate::net::transport::{OpenAttempt, OpenConfig};
use crate::plan::Plan;
use crate::plan::payload::Payload;
use crate::protocol::driver;
use control::UninstrumentedControl;
use echo_core::Stamp;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long after its last reply a series listens for more, at least: doubled and late replies have a
/// place in the figures too. On a longer path it is three times the longest RTT.
const LISTENING: Duration = Duration::from_millis(10);

/// How long a series rests after an error that the system told at once, so that it does not become a
/// flood of its own.
const REST_AFTER_ERROR: Duration = Duration::from_millis(10);

/// After how many ICMP errors without a single reply a series ends, where they may pass.
const ENOUGH_HINTS: u32 = 3;

/// How long a pause is in which a reader should have seen what there is: long against the system call
/// that it takes.
const A_WHILE: Duration = Duration::from_millis(1);

/// Takes what happens, as it happens.
pub(in crate::engine) trait Sink {
    fn connection(&mut self, connection: Connection) -> io::Result<()>;
    fn exchange(&mut self, exchange: Exchange) -> io::Result<()>;
    fn progress(&mut self, summary: &Summary, begun: Instant) -> io::Result<()>;
    /// Nothing will happen for a while.
    fn idle(&mut self) -> io::Result<()>;
}

/// A series of exchanges with one address.
pub(in crate::engine) struct Series {
    pub(in crate::engine) plan: Plan,
    pub(in crate::engine) address: SocketAddr,
    pub(in crate::engine) config: OpenConfig,
    pub(in crate::engine) payload: Payload,
    pub(in crate::engine) tracker: RequestTracker,
    pub(in crate::engine) channel: Option<Channel>,
    /// The first opening's result, until the run begins.
    pub(in crate::engine) first: Option<OpenAttempt>,
    pub(in crate::engine) control: Option<UninstrumentedControl>,
    /// After how many replies the server closes connections, if it has that habit.
    pub(in crate::engine) closes_after: Option<u64>,
    /// After how many it did the last time.
    pub(in crate::engine) closed_after: Option<u64>,
    pub(in crate::engine) summary: Summary,
    /// What has crossed the wire on links that have ended, where that is known.
    pub(in crate::engine) ended_traffic: Option<Traffic>,
    pub(in crate::engine) begun: Instant,
    pub(in crate::engine) last_sent: Option<Instant>,
    /// This side's addresses on links that have been opened, for whoever takes them; of the latest few.
    pub(in crate::engine) opened: VecDeque<SocketAddr>,
    /// Connections that have been made and not told of.
    pub(in crate::engine) made: Vec<Connection>,
    pub(in crate::engine) not_before: Option<Instant>,
    pub(in crate::engine) last_progress: Instant,
    /// Nothing has ever been answered, and the system says that nothing will be.
    pub(in crate::engine) unreachable: bool,
    /// ICMP errors that may pass, so far.
    pub(in crate::engine) transient_icmp_errors: u32,
}

impl Series {
    /// Opens the way to `address`; whether that worked shows in the run.
    pub(in crate::engine) fn open(plan: &Plan, address: SocketAddr) -> Result<Self, SocketError> {
        let settings = &plan.settings;
        let stamps = settings.breakdown && KERNEL_TIMESTAMPS;
        let receiver =
            ReceiveConfig { timeout: settings.timeout, spin: settings.spin, timestamps: stamps };
        let config = OpenConfig { bind: settings.bind, nagle: false, receiver };
        let first = (driver(plan.protocol).open)(address, config)?;
        let mut summary = Summary::default();
        if settings.breakdown && !KERNEL_TIMESTAMPS {
            summary.notes.push("no breakdown: kernel stamps are not available here".into());
        }
        // A schedule has no room for the twin's exchanges, and one exchange no median.
        let control = stamps && plan.pacing.waits_for_replies() && settings.count != Some(1);
        let now = Instant::now();
        Ok(Self {
            plan: plan.clone(),
            address,
            config,
            payload: plan.payload.clone(),
            tracker: RequestTracker::new(settings.timeout),
            channel: None,
            first: Some(first),
            control: control.then(|| UninstrumentedControl::new(plan, address, config)),
            closes_after: None,
            closed_after: None,
            summary,
            ended_traffic: Some(Traffic::default()),
            begun: now,
            last_sent: None,
            opened: VecDeque::new(),
            made: Vec::new(),
            not_before: None,
            last_progress: now,
            unreachable: false,
            transient_icmp_errors: 0,
        })
    }

    /// This side's address, if the way is open.
    pub(in crate::engine) fn local(&self) -> Option<SocketAddr> {
        let opening = self.first.as_ref()?;
        opening.transport.as_ref().ok().map(|transport| transport.local())
    }

    /// Runs to the end, or until `stop` is set.
    pub(in crate::engine) fn run(
        mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<Summary, RunError> {
        sink.idle()?;
        self.begun = Instant::now();
        let stopped = || stop.load(Ordering::Relaxed);
        while !stopped() && !self.is_over() {
            let already = self.tracker.next_number() - 1;
            let due = self.plan.pacing.due(self.begun, already, self.last_sent);
            let allowed = self.not_before.map_or(due, |rested| rested.max(due));
            self.wait_until(allowed, sink, stop)?;
            if stopped() || self.is_over() {
                break;
            }
            if self.twins_turn(stop)? {
                continue;
            }
            self.not_before = None;
            self.send(due, sink)?;
        }
        // The last replies.
        while !stopped() && self.tracker.in_flight() > 0 {
            if let Some(expiry) = self.tracker.next_expiry() {
                self.receive(WaitUntil::Exact(expiry), sink)?;
            }
            self.expire(sink)?;
        }
        // The last exchange has its twin as well.
        if !stopped() && self.plan.settings.duration.is_none() {
            self.twins_turn(stop)?;
        }
        self.end(sink, stop)
    }

    /// Makes one exchange now and waits until it is decided, or `stop` is set.
    pub(in crate::engine) fn once(
        &mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let now = Instant::now();
        let allowed = self.not_before.take().map_or(now, |rested| rested.max(now));
        thread::sleep(allowed.saturating_duration_since(now));
        self.send(allowed, sink)?;
        self.wait_until(allowed, sink, stop)
    }

    /// Listens for what may still come, closes, and returns the figures.
    pub(in crate::engine) fn end(
        mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<Summary, RunError> {
        self.listen_for_more(sink, stop)?;
        self.report_connections(sink)?;
        let in_flight = self.tracker.in_flight();
        if in_flight > 0 {
            let note = format!("interrupted: {in_flight} in the air, not counted");
            self.summary.notes.push(note);
        }
        self.close();
        let unreachable = self.unreachable && self.summary.received == 0;
        if unreachable && self.plan.settings.count != Some(1) {
            let note = "ended early: the system says that nothing will be answered".to_owned();
            self.summary.notes.push(note);
        }
        if let Some(replies) = self.closes_after {
            let note = format!("the server closes connections after {replies} of its replies");
            self.summary.notes.push(note);
        }
        if self.summary.resent > 0 {
            let again = self.summary.resent;
            let note = format!("{again} sent again: their connection had been closed meanwhile");
            self.summary.notes.push(note);
        }
        Ok(self.summary)
    }

    /// Makes the twin's exchange, if this place of the series is the twin's; returns whether it was.
    fn twins_turn(&mut self, stop: &AtomicBool) -> Result<bool, SocketError> {
        let Some(control) = self.control.as_mut().filter(|control| control.is_next) else {
            return Ok(false);
        };
        control.is_next = false;
        self.last_sent = Some(Instant::now());
        if let Some(rtt) = control.exchange(stop)? {
            self.summary.uninstrumented.add(rtt);
        }
        Ok(true)
    }

    fn is_over(&self) -> bool {
        let settings = &self.plan.settings;
        let made = self.tracker.next_number() - 1;
        self.unreachable
            || settings.count.is_some_and(|count| made >= count)
            || settings.duration.is_some_and(|duration| self.begun.elapsed() >= duration)
    }

    /// Receives until the next request is due, and may be sent.
    fn wait_until(
        &mut self,
        due: Instant,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let waits = self.plan.pacing.waits_for_replies();
        let end = self.plan.settings.duration.map(|duration| self.begun + duration);
        let due = end.map_or(due, |end| end.min(due));
        // On a schedule, every request is preceded by a look at what has arrived, however late it is.
        let mut looked = waits;
        let mut has_waited = false;
        while !stop.load(Ordering::Relaxed) {
            let expiry = self.tracker.next_expiry();
            if waits && let Some(expiry) = expiry {
                // The system has been told the time-out; after something else has come it is too long.
                let until =
                    if has_waited { WaitUntil::Exact(expiry) } else { WaitUntil::Coarse(expiry) };
                self.receive(until, sink)?;
                has_waited = true;
            } else {
                if looked && Instant::now() >= due {
                    return Ok(());
                }
                if due.saturating_duration_since(Instant::now()) > A_WHILE {
                    sink.idle()?;
                }
                let until = match expiry {
                    Some(expiry) if expiry < due => WaitUntil::Exact(expiry),
                    _ => WaitUntil::ExactAwake(due, self.plan.pacing.awake_before()),
                };
                self.receive(until, sink)?;
                looked = true;
            }
            self.expire(sink)?;
        }
        Ok(())
    }

    /// Gives up what has been waited for long enough.
    fn expire(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let Some(expiry) = self.tracker.next_expiry() else { return Ok(()) };
        let now = Instant::now();
        if now < expiry {
            return Ok(());
        }
        while let Some(request) = self.tracker.expire(now) {
            let come = self.channel.as_ref().map_or(0, Channel::bytes_of_a_reply);
            let detail = (come > 0)
                .then(|| format!("{come} of the reply's {} bytes came", self.payload.reply_len()));
            let after = now.saturating_duration_since(request.sent.monotonic());
            let failure = Failure { detail, ..Failure::new(Condition::Silent, after) };
            self.decide(&request, Outcome::Lost(failure), sink)?;
        }
        Ok(())
    }

    fn send(&mut self, due: Instant, sink: &mut dyn Sink) -> Result<(), RunError> {
        let seq = self.tracker.next_number();
        self.last_sent = Some(Instant::now());
        // What a system reports when it is asked to send may be an earlier request's, so it is asked twice.
        for last_try in [false, true] {
            if let Err(failure) = self.ensure_channel()? {
                return self.not_sent(seq, due, failure, sink);
            }
            let Some(channel) = &mut self.channel else { continue };
            let error = match channel.send(seq, self.payload.request(seq)) {
                Ok((sent, timestamp_id)) => {
                    self.last_sent = Some(sent.monotonic());
                    self.summary.send_duration =
                        sent.monotonic().saturating_duration_since(self.begun);
                    self.tracker.sent(sent, due, timestamp_id);
                    return Ok(());
                }
                Err(error) => error,
            };
            let served = has_served(self.channel.as_ref());
            match self.plan.protocol.framing {
                Framing::Datagrams if !last_try => {
                    self.process_network_errors(sink)?;
                }
                Framing::Datagrams => {
                    let mut failure = self.failure(error)?;
                    // What the network said has been taken out before.
                    if REPORTS_ICMP_ORIGIN && failure.condition != Condition::Refused {
                        failure.origin = Some(Origin::ThisHost);
                    }
                    return self.not_sent(seq, due, failure, sink);
                }
                Framing::Stream => {
                    let failure = self.failure(error)?;
                    self.channel_ended(failure.condition, sink)?;
                    if last_try || !served {
                        return self.not_sent(seq, due, failure, sink);
                    }
                }
            }
        }
        Ok(())
    }

    /// A request that could not be sent: it has a number, and came to nothing.
    fn not_sent(
        &mut self,
        seq: u64,
        due: Instant,
        failure: Failure,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        self.tracker.sent(Stamp::just_before(), due, TimestampId::default());
        self.tracker.lose(seq);
        self.note_error(&failure);
        self.report_connections(sink)?;
        let exchange = unsent_exchange(seq, failure);
        self.summary.add(&exchange);
        Ok(sink.exchange(exchange)?)
    }

    pub(in crate::engine) fn note_error(&mut self, failure: &Failure) {
        if failure.condition != Condition::Silent {
            // Something that accepts a connection may do better with the next one; and what a router says may
            // pass (RFC 1122, section 4.2.3.9), so it is asked again.
            let accepts = matches!(failure.condition, Condition::Closed | Condition::Reset);
            let may_pass = matches!(failure.origin, Some(Origin::Icmp(_)))
                && failure.condition != Condition::Refused;
            self.transient_icmp_errors += u32::from(may_pass);
            let is_final = !accepts && (!may_pass || self.transient_icmp_errors >= ENOUGH_HINTS);
            self.unreachable |= self.summary.received == 0 && is_final;
            self.not_before = Some(Instant::now() + REST_AFTER_ERROR);
        }
    }

    /// Listens for doubled and late replies, where a datagram can be doubled.
    fn listen_for_more(&mut self, sink: &mut dyn Sink, stop: &AtomicBool) -> Result<(), RunError> {
        let one = self.plan.settings.count == Some(1);
        if one || self.unreachable || self.plan.protocol.framing == Framing::Stream {
            return Ok(());
        }
        let longest = self.summary.rtt.min_max().map_or(Duration::ZERO, |(_, longest)| longest);
        let listening = (3 * longest).clamp(LISTENING, self.plan.settings.timeout.max(LISTENING));
        let end = Instant::now() + listening;
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            self.receive(WaitUntil::Exact(end), sink)?;
        }
        Ok(())
    }
}

fn has_served(channel: Option<&Channel>) -> bool {
    channel.is_some_and(|channel| channel.replies > 0)
}
