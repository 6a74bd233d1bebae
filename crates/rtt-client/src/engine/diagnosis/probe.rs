//! One probe of a diagnosis: one protocol at one address.

mod this_host;

use super::without_address;
use crate::analysis::accounting::wait_after_error;
use crate::analysis::diagnosis::{EchoServer, Finding, ProbeResult};
use crate::engine::channel::{Channel, ChannelEvent, QuotedRequest};
use crate::model::condition::{Condition, Failure, Verification};
use crate::model::exchange::Connection;
use crate::model::failure_context::FailureContext;
use crate::model::icmp::Origin;
use crate::model::protocol::{Framing, Protocol, ReplyForm};
use crate::model::received_text::received_text;
use crate::net::failure::{Call, failure_from_error, failure_from_icmp};
use crate::net::system::{MAX_PAUSE, WaitUntil};
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::plan::payload::{EchoPayload, HeaderContent, Matching, Numbering, Payload};
use crate::plan::{Plan, Settings, ShownText};
use crate::protocol::driver;
use echo_core::Stamp;
use std::io;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use this_host::{add_neighbour_state, is_icmp_from_this_host};
use tracing::{debug, trace};

/// The text of a request. All its letters are lower case, so a server that returns the text unchanged is detected.
const TEXT: &[u8] = b"server available?";

/// The times at which requests are sent if the protocol is not reliable, as fractions of the available time. The client
/// sends several requests, because one can be lost.
const SEVERAL_TIMES: [f64; 3] = [0.0, 0.3, 0.6];

/// A reliable protocol sends lost data again, so one request is enough.
const ONE_TIME: [f64; 1] = [0.0];

/// The minimum time for a probe. It applies if the name look-up has used the whole timeout.
const MIN_TIME: Duration = Duration::from_millis(1);

/// A probe of one protocol at one address.
pub(super) struct Probe<'a> {
    pub(super) plan: &'a Plan,
    pub(super) address: SocketAddr,
    /// The other protocols of the diagnosis.
    pub(super) other_protocols: Vec<&'static Protocol>,
    /// The end of the diagnosis.
    pub(super) deadline: Instant,
    /// The stop flag.
    pub(super) stop: &'a AtomicBool,
}

impl<'a> Probe<'a> {
    /// Runs the probe. Returns `None` if the user interrupts it before the result is known.
    pub(super) fn run(&self) -> Result<Option<Finding>, SocketError> {
        let address = self.address;
        thread::scope(|scope| {
            // The connected and the unconnected socket wait at the same time, because they share the timeout.
            let unconnected = driver(self.plan.protocol).unconnected.and_then(|send_and_wait| {
                let config = self.config().with_any_local_port();
                let mut payload = self.payload(HeaderContent::Nothing);
                let wait = move || send_and_wait(address, &config, payload.request(1));
                thread::Builder::new()
                    .spawn_scoped(scope, wait)
                    .inspect_err(|error| debug!(%address, %error, "unconnected socket not used"))
                    .ok()
            });
            let mut finding = self.run_connected()?;
            if finding.condition() == Condition::Silent && self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            finding.hop_limit = self.plan.settings.ttl;
            finding.other_protocols.clone_from(&self.other_protocols);
            finding.icmp_from_this_host = is_icmp_from_this_host(&finding);
            add_neighbour_state(&mut finding, address);
            finding.unconnected = unconnected.and_then(|thread| {
                let result = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                result
                    .inspect_err(|error| debug!(%address, %error, "unconnected socket failed"))
                    .ok()
            });
            trace!(
                protocol = self.plan.protocol.name,
                %address,
                condition = %finding.condition(),
                sent = finding.sent,
                unconnected = finding.unconnected.as_ref().map(tracing::field::debug),
                "finding"
            );
            Ok(Some(finding))
        })
    }

    fn config(&self) -> OpenConfig<'a> {
        let settings = Settings {
            timeout: self.remaining(),
            spin: false,
            breakdown: false,
            ..self.plan.settings.clone()
        };
        OpenConfig::new(&settings).interrupted_by(self.stop)
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).max(MIN_TIME)
    }

    /// Sends requests from a connected socket, in the same way as the other commands.
    fn run_connected(&self) -> Result<Finding, SocketError> {
        let start = Instant::now();
        let opened = (driver(self.plan.protocol).open)(self.address, self.config())?;
        log_connection(&opened, self.address);
        let mut finding = Finding {
            connect_duration: opened.connection.as_ref().and_then(Connection::duration),
            address: Some(self.address),
            ..without_address(self.plan, Failure::new(Condition::Silent, Duration::ZERO))
        };
        let established = opened.connection.as_ref().and_then(Connection::established);
        match opened.transport {
            Err(failure) => finding.result = ProbeResult::NoAnswer(failure),
            Ok(transport) => {
                let protocol = self.plan.protocol;
                let mut requests = Requests {
                    protocol,
                    channel: Channel::new(transport, protocol.framing).established_at(established),
                    payload: self.payload(HeaderContent::ProcessingTime),
                    times: if protocol.is_reliable { &ONE_TIME } else { &SEVERAL_TIMES },
                    start,
                    deadline: self.deadline,
                    end: self.deadline,
                    stop: self.stop,
                    sent: Vec::new(),
                    error: None,
                    wrong_answer: None,
                };
                let result = requests.run();
                // Logging during the exchange would make its RTT longer.
                for (seq, stamp) in (1_u64..).zip(&requests.sent) {
                    let at = stamp.monotonic().saturating_duration_since(start);
                    trace!(protocol = self.plan.protocol.name, address = %self.address, seq, ?at, "request sent");
                }
                finding.sent = u32::try_from(requests.sent.len()).unwrap_or(u32::MAX);
                finding.result = result;
            }
        }
        Ok(finding)
    }

    /// The requests of the probe.
    fn payload(&self, header: HeaderContent) -> Payload {
        let Some(echo) = self.plan.payload.echo() else { return self.plan.payload.clone() };
        let (protocol, form) = (self.plan.protocol, echo.form());
        let header = header.for_replies(protocol, form);
        let max_len = protocol.max_message_len;
        EchoPayload::of_text(TEXT, Numbering::Numbered, header, form, max_len).into()
    }
}

/// Logs the result of an attempt to connect. In the other commands, the series logs its connections.
fn log_connection(opened: &OpenAttempt, address: SocketAddr) {
    let Some(connection) = &opened.connection else { return };
    match &opened.transport {
        Ok(transport) => {
            let local = transport.local().map(tracing::field::display);
            let took = connection.duration().map(tracing::field::debug);
            debug!(%address, local, took, "connection opened");
        }
        Err(failure) => {
            debug!(%address, condition = %failure.condition, "connection not opened");
        }
    }
}

/// The requests of a probe on an open channel.
struct Requests<'a> {
    protocol: &'static Protocol,
    channel: Channel,
    payload: Payload,
    /// The times at which requests are sent, as fractions of the time from `start` to `deadline`.
    times: &'static [f64],
    start: Instant,
    deadline: Instant,
    /// The end of the wait: the deadline, or earlier after a verified error.
    end: Instant,
    /// The stop flag.
    stop: &'a AtomicBool,
    /// The times at which the requests were sent.
    sent: Vec<Stamp>,
    /// An error that the network reported. It is the result if no correct reply arrives.
    error: Option<(Failure, Verification)>,
    /// A wrong datagram. It is the result if no correct reply arrives, and if there is no verified error.
    wrong_answer: Option<ProbeResult>,
}

impl Requests<'_> {
    /// Sends the requests at their times until there is a result. If the user interrupts the probe, the result is
    /// [`Condition::Silent`].
    fn run(&mut self) -> ProbeResult {
        loop {
            if self.next_send().is_some_and(|due| Instant::now() >= due) {
                let seq = self.sent.len() as u64 + 1;
                match self.channel.send(seq, self.payload.request(seq), self.stop) {
                    Ok(sent) => self.sent.push(sent.stamp),
                    // The error of an earlier request. The request is still due, so the next turn sends it.
                    Err(error) => {
                        if let Some(result) = self.result_of_error(error, Call::Send) {
                            return result;
                        }
                    }
                }
            }
            let until = self.next_send().map_or(self.end, |due| due.min(self.end));
            let until = until.min(Instant::now() + MAX_PAUSE);
            let without_number = match self.payload.matching() {
                Matching::ByNumber => None,
                // The probe ends with the first reply.
                Matching::InOrder => Some(1),
            };
            match self.channel.receive(WaitUntil::Exact(until), &mut self.payload, without_number) {
                Ok(event) => {
                    if let Some(result) = self.result_of_event(event) {
                        return result;
                    }
                }
                Err(error) => {
                    if let Some(result) = self.result_of_error(error, Call::Receive) {
                        return result;
                    }
                }
            }
            if Instant::now() >= self.end || self.stop.load(Ordering::Relaxed) {
                return self.result_without_reply();
            }
        }
    }

    /// The time of the next request, if one is left.
    fn next_send(&self) -> Option<Instant> {
        let available = self.deadline.saturating_duration_since(self.start);
        self.times.get(self.sent.len()).map(|time| self.start + available.mul_f64(*time))
    }

    /// The result of the probe, if this event determines it.
    fn result_of_event(&mut self, event: ChannelEvent) -> Option<ProbeResult> {
        match event {
            ChannelEvent::Nothing | ChannelEvent::Stray => None,
            ChannelEvent::Failed { failure, .. } => Some(ProbeResult::NoAnswer(failure)),
            ChannelEvent::Reply(reply) => {
                let index = usize::try_from(reply.seq?).ok()?.checked_sub(1)?;
                let rtt = reply.received.since(self.sent.get(index)?);
                if let Some(service) = self.payload.service() {
                    let error = service.reported_error(&reply.bytes);
                    let error = error.map(|error| received_text(&error));
                    // Without a number, it is not known which request was answered.
                    let is_known =
                        self.payload.matching() == Matching::ByNumber || self.sent.len() == 1;
                    let first = self.sent.first().filter(|_| !is_known);
                    let after = first.map_or(rtt, |first| reply.received.since(first));
                    let rtt = is_known.then_some(rtt);
                    let reply = ShownText::FirstLine.of(&reply.bytes);
                    return Some(ProbeResult::Service { rtt, after, reply, error });
                }
                let server = match (reply.report.timing(), self.payload.reply_form()) {
                    (Some(_), _) => EchoServer::OfThisProject,
                    (None, Some(ReplyForm::Unchanged)) => EchoServer::Plain,
                    (None, _) => EchoServer::UpperCase,
                };
                Some(ProbeResult::Echo { rtt, server })
            }
            ChannelEvent::Wrong { reply, mismatch } => {
                let first = self.sent.first();
                let after = first.map_or(Duration::ZERO, |first| reply.received.since(first));
                let failure = Failure::new(Condition::WrongAnswer, after);
                let waits = self.protocol.framing == Framing::Datagrams;
                let failure = Failure {
                    context: waits.then_some(FailureContext::WaitedForCorrectReply),
                    detail: Some(mismatch.to_string()),
                    ..failure
                };
                let result = ProbeResult::WrongAnswer { failure, text: reply.bytes };
                if self.protocol.framing == Framing::Stream {
                    return Some(result);
                }
                // Any host can forge a datagram. The correct reply can still arrive.
                self.wrong_answer.get_or_insert(result);
                None
            }
            ChannelEvent::End => {
                let part = self.payload.describe_part(self.channel.partial_reply_len());
                let failure = Failure::new(Condition::Closed, self.start.elapsed());
                Some(ProbeResult::NoAnswer(Failure {
                    origin: Some(Origin::Peer),
                    detail: Some(format!("after {part}")),
                    ..failure
                }))
            }
        }
    }

    /// The result if no correct reply arrives in time. The reply can have arrived from another address.
    fn result_without_reply(&mut self) -> ProbeResult {
        let is_verified = |error: &mut (Failure, _)| error.1 == Verification::Verified;
        if let Some((failure, _)) = self.error.take_if(is_verified) {
            return ProbeResult::NoAnswer(failure);
        }
        let others = self.channel.replies_from_others(&mut self.payload, None);
        let is_sent = |seq: &u64| (1..=self.sent.len() as u64).contains(seq);
        let from = others.into_iter().find(|(_, seq)| seq.as_ref().is_some_and(is_sent));
        if let Some((from, _)) = from {
            return ProbeResult::NoAnswer(Failure::other_address(from, self.start.elapsed()));
        }
        if let Some(result) = self.wrong_answer.take() {
            return result;
        }
        if let Some((failure, _)) = self.error.take() {
            return ProbeResult::NoAnswer(failure);
        }
        let received = self.channel.partial_reply_len();
        let observation = self.channel.give_up(self.sent.len() as u64);
        let detail = observation.or_else(|| {
            (received > 0).then(|| format!("{} arrived", self.payload.describe_part(received)))
        });
        let failure = Failure::new(Condition::Silent, self.start.elapsed());
        ProbeResult::NoAnswer(Failure { detail, ..failure })
    }

    /// The result of the probe, if this error determines it. An ICMP error never determines it at once, because a reply can
    /// still arrive.
    fn result_of_error(&mut self, error: io::Error, call: Call) -> Option<ProbeResult> {
        let after = self.start.elapsed();
        let network_errors = self.channel.network_errors();
        for error in &network_errors {
            let verification = match Channel::request_of(error, &mut self.payload) {
                QuotedRequest::Number(_, verification) | QuotedRequest::Unknown(verification) => {
                    verification
                }
                QuotedRequest::Contradictory => continue,
            };
            if let Some(failure) = failure_from_icmp(error, after) {
                self.add_error(failure, verification);
            }
        }
        if !network_errors.is_empty() {
            return None;
        }
        let mut failure = failure_from_error(error, call, after);
        // A reset and a refusal come from the network, and any call can return them. For example, the call after a refused
        // datagram returns the refusal. Any other error of the send call is from this host.
        if call == Call::Send && !matches!(failure.condition, Condition::Reset | Condition::Refused)
        {
            failure.origin = Some(Origin::ThisHost);
        }
        if failure.condition == Condition::TooBig {
            failure = failure.with_mtu(self.channel.path_mtu());
        }
        // Without a connection, the system returns the errors of the network that any host can forge.
        if !self.protocol.has_connections() && failure.origin != Some(Origin::ThisHost) {
            self.add_error(failure, Verification::Unverified);
            return None;
        }
        Some(ProbeResult::NoAnswer(failure))
    }

    /// Stores an error of the network. The latest error replaces an earlier one, but only a verified error replaces a
    /// verified one.
    fn add_error(&mut self, failure: Failure, verification: Verification) {
        let is_verified = verification == Verification::Verified;
        if is_verified {
            self.end = self.end.min(Instant::now() + wait_after_error(failure.after));
        }
        let is_known = matches!(self.error, Some((_, Verification::Verified)));
        if is_verified || !is_known {
            self.error = Some((failure, verification));
        }
    }
}

#[cfg(test)]
mod tests;
