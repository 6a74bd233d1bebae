//! A run of exchanges with one address: when to send, what to make of what comes, when to stop.

use super::link::Link;
use super::twin::Twin;
use super::{RunError, never_sent};
use crate::breakdown::Marks;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::system::{InletConfig, KERNEL_STAMPS, ORIGINS, Until};
use crate::transport::{Framing, OpenConfig, Opening, Traffic};
use crate::{
    Condition, Connection, Exchange, Failure, Origin, Outcome, Plan, SocketError, Summary,
};
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
pub(super) trait Sink {
    fn connection(&mut self, connection: Connection) -> io::Result<()>;
    fn exchange(&mut self, exchange: Exchange) -> io::Result<()>;
    fn progress(&mut self, summary: &Summary, begun: Instant) -> io::Result<()>;
    /// Nothing will happen for a while.
    fn idle(&mut self) -> io::Result<()>;
}

/// A series of exchanges with one address.
pub(super) struct Series {
    pub(super) plan: Plan,
    pub(super) address: SocketAddr,
    pub(super) config: OpenConfig,
    pub(super) load: Load,
    pub(super) ledger: Ledger,
    pub(super) link: Option<Link>,
    /// The first opening's result, until the run begins.
    pub(super) first: Option<Opening>,
    pub(super) twin: Option<Twin>,
    /// After how many replies the server closes connections, if it has that habit.
    pub(super) closes_after: Option<u64>,
    /// After how many it did the last time.
    pub(super) closed_after: Option<u64>,
    pub(super) summary: Summary,
    /// What has crossed the wire on links that have ended, where that is known.
    pub(super) ended_traffic: Option<Traffic>,
    pub(super) begun: Instant,
    pub(super) last_sent: Option<Instant>,
    /// This side's addresses on links that have been opened, for whoever takes them; of the latest few.
    pub(super) opened: VecDeque<SocketAddr>,
    /// Connections that have been made and not told of.
    pub(super) made: Vec<Connection>,
    pub(super) not_before: Option<Instant>,
    pub(super) last_progress: Instant,
    /// Nothing has ever been answered, and the system says that nothing will be.
    pub(super) hopeless: bool,
    /// ICMP errors that may pass, so far.
    pub(super) hints: u32,
}

impl Series {
    /// Opens the way to `address`; whether that worked shows in the run.
    pub(super) fn open(plan: &Plan, address: SocketAddr) -> Result<Self, SocketError> {
        let settings = &plan.settings;
        let stamps = settings.breakdown && KERNEL_STAMPS;
        let inlet = InletConfig { timeout: settings.timeout, spin: settings.spin, stamps };
        let config = OpenConfig { bind: settings.bind, nagle: false, inlet };
        let first = (plan.protocol.open)(address, config)?;
        let mut summary = Summary::default();
        if settings.breakdown && !KERNEL_STAMPS {
            summary.notes.push("no breakdown: kernel stamps are not available here".into());
        }
        // A schedule has no room for the twin's exchanges, and one exchange no median.
        let twin = stamps && plan.pace.waits_for_replies() && settings.count != Some(1);
        let now = Instant::now();
        Ok(Self {
            plan: plan.clone(),
            address,
            config,
            load: plan.load.clone(),
            ledger: Ledger::new(settings.timeout),
            link: None,
            first: Some(first),
            twin: twin.then(|| Twin::new(plan, address, config)),
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
            hopeless: false,
            hints: 0,
        })
    }

    /// This side's address, if the way is open.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        let opening = self.first.as_ref()?;
        opening.transport.as_ref().ok().map(|transport| transport.local())
    }

    /// Runs to the end, or until `stop` is set.
    pub(super) fn run(
        mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<Summary, RunError> {
        sink.idle()?;
        self.begun = Instant::now();
        let stopped = || stop.load(Ordering::Relaxed);
        while !stopped() && !self.is_over() {
            let already = self.ledger.next_number() - 1;
            let due = self.plan.pace.due(self.begun, already, self.last_sent);
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
        while !stopped() && self.ledger.in_the_air() > 0 {
            if let Some(expiry) = self.ledger.next_expiry() {
                self.receive(Until::Precisely(expiry), sink)?;
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
    pub(super) fn once(&mut self, sink: &mut dyn Sink, stop: &AtomicBool) -> Result<(), RunError> {
        let now = Instant::now();
        let allowed = self.not_before.take().map_or(now, |rested| rested.max(now));
        thread::sleep(allowed.saturating_duration_since(now));
        self.send(allowed, sink)?;
        self.wait_until(allowed, sink, stop)
    }

    /// Listens for what may still come, closes, and returns the figures.
    pub(super) fn end(
        mut self,
        sink: &mut dyn Sink,
        stop: &AtomicBool,
    ) -> Result<Summary, RunError> {
        self.listen_for_more(sink, stop)?;
        self.tell_connections(sink)?;
        let in_the_air = self.ledger.in_the_air();
        if in_the_air > 0 {
            let note = format!("interrupted: {in_the_air} in the air, not counted");
            self.summary.notes.push(note);
        }
        self.close();
        let hopeless = self.hopeless && self.summary.received == 0;
        if hopeless && self.plan.settings.count != Some(1) {
            let note = "ended early: the system says that nothing will be answered".to_owned();
            self.summary.notes.push(note);
        }
        if let Some(replies) = self.closes_after {
            let note = format!("the server closes connections after {replies} of its replies");
            self.summary.notes.push(note);
        }
        if self.summary.sent_again > 0 {
            let again = self.summary.sent_again;
            let note = format!("{again} sent again: their connection had been closed meanwhile");
            self.summary.notes.push(note);
        }
        Ok(self.summary)
    }

    /// Makes the twin's exchange, if this place of the series is the twin's; returns whether it was.
    fn twins_turn(&mut self, stop: &AtomicBool) -> Result<bool, SocketError> {
        let Some(twin) = self.twin.as_mut().filter(|twin| twin.is_next) else { return Ok(false) };
        twin.is_next = false;
        self.last_sent = Some(Instant::now());
        if let Some(rtt) = twin.exchange(stop)? {
            self.summary.uninstrumented.add(rtt);
        }
        Ok(true)
    }

    fn is_over(&self) -> bool {
        let settings = &self.plan.settings;
        let made = self.ledger.next_number() - 1;
        self.hopeless
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
        let waits = self.plan.pace.waits_for_replies();
        let end = self.plan.settings.duration.map(|duration| self.begun + duration);
        let due = end.map_or(due, |end| end.min(due));
        // On a schedule, every request is preceded by a look at what has arrived, however late it is.
        let mut looked = waits;
        let mut has_waited = false;
        while !stop.load(Ordering::Relaxed) {
            let expiry = self.ledger.next_expiry();
            if waits && let Some(expiry) = expiry {
                // The system has been told the time-out; after something else has come it is too long.
                let until =
                    if has_waited { Until::Precisely(expiry) } else { Until::Casually(expiry) };
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
                    Some(expiry) if expiry < due => Until::Precisely(expiry),
                    _ => Until::Punctually(due, self.plan.pace.awake_before()),
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
        let Some(expiry) = self.ledger.next_expiry() else { return Ok(()) };
        let now = Instant::now();
        if now < expiry {
            return Ok(());
        }
        while let Some(request) = self.ledger.expire(now) {
            let come = self.link.as_ref().map_or(0, Link::bytes_of_a_reply);
            let detail = (come > 0)
                .then(|| format!("{come} of the reply's {} bytes came", self.load.reply_len()));
            let after = now.saturating_duration_since(request.sent.monotonic());
            let failure = Failure { detail, ..Failure::seen(Condition::Silent, after) };
            self.decide(&request, Outcome::Lost(failure), sink)?;
        }
        Ok(())
    }

    fn send(&mut self, due: Instant, sink: &mut dyn Sink) -> Result<(), RunError> {
        let seq = self.ledger.next_number();
        self.last_sent = Some(Instant::now());
        // What a system reports when it is asked to send may be an earlier request's, so it is asked twice.
        for last_try in [false, true] {
            if let Err(failure) = self.ready_link()? {
                return self.not_sent(seq, due, failure, sink);
            }
            let Some(link) = &mut self.link else { continue };
            let error = match link.send(seq, self.load.request(seq)) {
                Ok((sent, marks)) => {
                    self.last_sent = Some(sent.monotonic());
                    self.summary.sending = sent.monotonic().saturating_duration_since(self.begun);
                    self.ledger.sent(sent, due, marks);
                    return Ok(());
                }
                Err(error) => error,
            };
            let served = has_served(self.link.as_ref());
            match self.plan.protocol.framing {
                Framing::Datagrams if !last_try => {
                    self.book_notices(sink)?;
                }
                Framing::Datagrams => {
                    let mut failure = self.failure(error)?;
                    // What the network said has been taken out before.
                    if ORIGINS && failure.condition != Condition::Refused {
                        failure.origin = Some(Origin::ThisHost);
                    }
                    return self.not_sent(seq, due, failure, sink);
                }
                Framing::Stream => {
                    let failure = self.failure(error)?;
                    self.link_ended(failure.condition, sink)?;
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
        self.ledger.sent(Stamp::just_before(), due, Marks::default());
        self.ledger.lose(seq);
        self.after_error(&failure);
        self.tell_connections(sink)?;
        let exchange = never_sent(seq, failure);
        self.summary.add(&exchange);
        Ok(sink.exchange(exchange)?)
    }

    pub(super) fn after_error(&mut self, failure: &Failure) {
        if failure.condition != Condition::Silent {
            // Something that accepts a connection may do better with the next one; and what a router says may
            // pass (RFC 1122, section 4.2.3.9), so it is asked again.
            let accepts = matches!(failure.condition, Condition::Closed | Condition::Reset);
            let may_pass = matches!(failure.origin, Some(Origin::Icmp(_)))
                && failure.condition != Condition::Refused;
            self.hints += u32::from(may_pass);
            let is_final = !accepts && (!may_pass || self.hints >= ENOUGH_HINTS);
            self.hopeless |= self.summary.received == 0 && is_final;
            self.not_before = Some(Instant::now() + REST_AFTER_ERROR);
        }
    }

    /// Listens for doubled and late replies, where a datagram can be doubled.
    fn listen_for_more(&mut self, sink: &mut dyn Sink, stop: &AtomicBool) -> Result<(), RunError> {
        let one = self.plan.settings.count == Some(1);
        if one || self.hopeless || self.plan.protocol.framing == Framing::Stream {
            return Ok(());
        }
        let longest = self.summary.rtt.extent().map_or(Duration::ZERO, |(_, longest)| longest);
        let listening = (3 * longest).clamp(LISTENING, self.plan.settings.timeout.max(LISTENING));
        let end = Instant::now() + listening;
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            self.receive(Until::Precisely(end), sink)?;
        }
        Ok(())
    }
}

fn has_served(link: Option<&Link>) -> bool {
    link.is_some_and(|link| link.replies > 0)
}
