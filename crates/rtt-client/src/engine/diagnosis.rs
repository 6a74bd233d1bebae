//! Looking what is there: every protocol at every address of a name, side by side, in a bounded time.

use super::channel::{Channel, ChannelEvent};
use super::run::{RunError, resolve_target};
use crate::analysis::diagnosis::{Finding, ProbeResult};
use crate::event::{Event, Report};
use crate::model::condition::{Condition, Failure};
use crate::model::icmp::{IcmpError, Origin};
use crate::model::protocol::Framing;
use crate::net::system::{self, ReceiveConfig, WaitUntil};
use crate::net::transport::{OpenConfig, failure_from_error, failure_from_icmp};
use crate::net::transport::{SocketError, SocketOperation};
use crate::plan::DiagnosisPlan;
use crate::plan::Plan;
use crate::plan::payload::{Numbering, Payload, TimingHeader};
use crate::protocol::driver;
use echo_core::Stamp;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

/// How many addresses of a name are looked at: more than anybody reads about.
const MOST_ADDRESSES: usize = 64;

/// What is asked. All of it changes under upper-casing but for spaces and the mark.
const QUESTION: &[u8] = b"is anybody there?";

/// When datagrams are sent, as shares of the time there is: one may be lost.
const DATAGRAMS_AT: [f64; 3] = [0.0, 0.3, 0.6];

/// The shortest time that is left for a probe, however long the name took.
const SHORTEST: Duration = Duration::from_millis(1);

/// Looks what is at `diagnosis`' target and tells `report`. Returns whether there is an echo server.
///
/// It takes no longer than the time-out, all together.
///
/// # Errors
///
/// [`RunError`]; what is found is no error.
pub fn diagnose(diagnosis: &DiagnosisPlan, report: &mut dyn Report) -> Result<bool, RunError> {
    let begun = Instant::now();
    let Some(first) = diagnosis.plans.first() else { return Ok(false) };
    let deadline = begun + first.settings.timeout;
    let addresses = resolve_target(first);
    let mut found_one = false;
    match addresses {
        Err(failure) => {
            for plan in &diagnosis.plans {
                let failure = Failure {
                    detail: failure.detail.clone(),
                    ..Failure::new(failure.condition, failure.after)
                };
                let finding = unresolved(plan, failure);
                report.event(&Event::Finding(&finding))?;
            }
        }
        Ok(addresses) => thread::scope(|scope| -> Result<(), RunError> {
            let mut probes = Vec::new();
            for plan in &diagnosis.plans {
                for address in addresses.iter().take(MOST_ADDRESSES) {
                    let mut address = *address;
                    address.set_port(plan.port());
                    probes.push(scope.spawn(move || probe(plan, address, deadline)));
                }
            }
            let mut first_error = None;
            for probe in probes {
                // A panic in a probe is a defect, and goes on as one.
                match probe.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                    Ok(finding) => {
                        found_one |= finding.condition() == Condition::Answering;
                        report.event(&Event::Finding(&finding))?;
                    }
                    // The others' findings are told all the same.
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            first_error.map_or(Ok(()), Err)
        })?,
    }
    report.flush()?;
    Ok(found_one)
}

fn unresolved(plan: &Plan, failure: Failure) -> Finding {
    Finding {
        protocol: plan.protocol,
        target: plan.host_and_port(),
        address: None,
        icmp_from_this_host: false,
        connect_duration: None,
        sent: 0,
        result: ProbeResult::NoAnswer(failure),
        unconnected: None,
    }
}

/// One protocol at one address.
fn probe(plan: &Plan, address: SocketAddr, deadline: Instant) -> Result<Finding, RunError> {
    let left = || deadline.saturating_duration_since(Instant::now()).max(SHORTEST);
    let bind = plan.settings.bind;
    thread::scope(|scope| {
        // Beside it, and not before: the time is for both.
        let unconnected = driver(plan.protocol).unconnected.map(|unconnected| {
            let patience = left();
            scope.spawn(move || unconnected(address, bind, QUESTION, patience))
        });
        let begun = Instant::now();
        let receiver = ReceiveConfig { timeout: left(), spin: false, timestamps: false };
        let config = OpenConfig { bind, nagle: false, receiver };
        let opening = (driver(plan.protocol).open)(address, config)?;
        let mut finding = Finding {
            connect_duration: opening.connection.and_then(|connection| connection.handshake()),
            address: Some(address),
            ..unresolved(plan, Failure::new(Condition::Silent, Duration::ZERO))
        };
        match Channel::new(opening, plan.protocol.framing) {
            Err(failure) => finding.result = ProbeResult::NoAnswer(failure),
            Ok(mut channel) => {
                finding.result =
                    ask(&mut channel, plan.protocol.framing, (begun, deadline), &mut finding.sent)
                        .map_err(|error| refused(plan, address, error))?;
            }
        }
        if finding.connect_duration.is_none() {
            finding.result = told_apart(finding.result, address);
        }
        finding.icmp_from_this_host = icmp_from_this_host(&finding);
        finding.unconnected =
            unconnected.and_then(|thread| thread.join().ok()).and_then(Result::ok);
        Ok(finding)
    })
}

/// Whether the ICMP error came from this host: nobody else's address can be bound to.
fn icmp_from_this_host(finding: &Finding) -> bool {
    match finding.failure().and_then(|failure| failure.origin) {
        Some(Origin::Icmp(IcmpError { from: Some(from), .. })) => {
            UdpSocket::bind((from, 0)).is_ok()
        }
        _ => false,
    }
}

/// Asks, and waits for what comes.
fn ask(
    channel: &mut Channel,
    framing: Framing,
    (begun, deadline): (Instant, Instant),
    sent: &mut u32,
) -> io::Result<ProbeResult> {
    let mut payload = Payload::of_text(QUESTION, Numbering::Numbered, TimingHeader::Requested);
    let whole = deadline.saturating_duration_since(begun);
    let times = match framing {
        Framing::Datagrams => &DATAGRAMS_AT[..],
        Framing::Stream => &DATAGRAMS_AT[..1],
    };
    let mut stamps: Vec<Stamp> = Vec::new();
    loop {
        if let Some(at) = times.get(stamps.len())
            && begun.elapsed() >= whole.mul_f64(*at)
        {
            let seq = stamps.len() as u64 + 1;
            match channel.send(seq, payload.request(seq)) {
                Ok((stamp, _)) => stamps.push(stamp),
                Err(error) => match failed(channel, error, begun, true)? {
                    Some(end) => return Ok(end),
                    None => continue,
                },
            }
            *sent += 1;
        }
        let next = times.get(stamps.len()).map_or(deadline, |at| begun + whole.mul_f64(*at));
        match channel.receive(WaitUntil::Exact(next.min(deadline)), &mut payload, None) {
            Ok(ChannelEvent::Reply(reply)) => {
                let place = reply.seq.and_then(|seq| usize::try_from(seq).ok()?.checked_sub(1));
                let Some(stamp) = place.and_then(|place| stamps.get(place)) else { continue };
                let rtt = reply.received.since(stamp);
                return Ok(ProbeResult::Echo { rtt, is_ours: reply.timing.is_some() });
            }
            Ok(ChannelEvent::Wrong { reply, mismatch }) => {
                let after =
                    stamps.first().map_or(Duration::ZERO, |first| reply.received.since(first));
                let failure = Failure {
                    detail: Some(mismatch.to_string()),
                    ..Failure::new(Condition::WrongAnswer, after)
                };
                return Ok(ProbeResult::WrongAnswer { failure, text: reply.bytes });
            }
            Ok(ChannelEvent::End) => {
                let come = channel.partial_reply_len();
                let detail =
                    Some(format!("after {come} of the reply's {} bytes", payload.reply_len()));
                let origin = Some(Origin::Peer);
                let failure = Failure::new(Condition::Closed, begun.elapsed());
                return Ok(ProbeResult::NoAnswer(Failure { origin, detail, ..failure }));
            }
            Ok(ChannelEvent::Nothing) => {}
            Err(error) => {
                if let Some(end) = failed(channel, error, begun, false)? {
                    return Ok(end);
                }
            }
        }
        if Instant::now() >= deadline {
            let come = channel.partial_reply_len();
            let detail = (come > 0)
                .then(|| format!("{come} of the reply's {} bytes came", payload.reply_len()));
            let failure = Failure::new(Condition::Silent, begun.elapsed());
            return Ok(ProbeResult::NoAnswer(Failure { detail, ..failure }));
        }
    }
}

/// What an error means: nothing, if the network has said what does not end anything; the error itself, if it
/// means nothing to us.
fn failed(
    channel: &mut Channel,
    error: io::Error,
    begun: Instant,
    sending: bool,
) -> io::Result<Option<ProbeResult>> {
    let after = begun.elapsed();
    let network_errors = channel.network_errors();
    if let Some(failure) =
        network_errors.iter().rev().find_map(|notice| failure_from_icmp(notice, after))
    {
        return Ok(Some(ProbeResult::NoAnswer(failure)));
    }
    if !network_errors.is_empty() {
        return Ok(None);
    }
    let mut failure = failure_from_error(error, after)?;
    failure.origin = match failure.condition {
        // A reset is the peer's; a refusal an earlier datagram's, told at the next occasion.
        Condition::Reset | Condition::Refused => failure.origin,
        // Nobody else can have said so of what was not sent.
        _ if sending => Some(Origin::ThisHost),
        // What is forbidden here is forbidden at once; this came back.
        Condition::PermissionDenied => {
            failure.condition = Condition::Prohibited;
            failure.origin
        }
        _ => failure.origin,
    };
    Ok(Some(ProbeResult::NoAnswer(failure)))
}

fn refused(plan: &Plan, address: SocketAddr, error: io::Error) -> SocketError {
    SocketError {
        operation: SocketOperation::Exchange,
        protocol: plan.protocol.title,
        address,
        error,
    }
}

/// A host that nobody on the link answers for is not a silent one, even if the system has not given up
/// asking: three seconds, on Linux.
fn told_apart(end: ProbeResult, address: SocketAddr) -> ProbeResult {
    match end {
        ProbeResult::NoAnswer(failure) if failure.condition == Condition::Silent => {
            match system::unresolved_next_hop(address.ip()) {
                None => ProbeResult::NoAnswer(failure),
                Some(neighbour) => ProbeResult::NoAnswer(Failure {
                    condition: Condition::HostUnreachable,
                    origin: Some(Origin::ThisHost),
                    detail: Some(format!("{neighbour} has not answered for its address so far")),
                    ..failure
                }),
            }
        }
        end => end,
    }
}
