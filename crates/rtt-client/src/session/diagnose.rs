//! Looking what is there: every protocol at every address of a name, side by side, in a bounded time.

use super::link::{Arrival, Link};
use super::{RunError, look_up};
use crate::finding::{End, Finding};
use crate::load::Load;
use crate::plan::Diagnosis;
use crate::report::{Event, Report};
use crate::system::{self, InletConfig, Until};
use crate::transport::{Framing, OpenConfig, failure_in, failure_of};
use crate::{Condition, Failure, Icmp, Origin, Plan, SocketError};
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
pub fn diagnose(diagnosis: &Diagnosis, report: &mut dyn Report) -> Result<bool, RunError> {
    let begun = Instant::now();
    let Some(first) = diagnosis.plans.first() else { return Ok(false) };
    let deadline = begun + first.settings.timeout;
    let addresses = look_up(first);
    let mut found_one = false;
    match addresses {
        Err(failure) => {
            for plan in &diagnosis.plans {
                let failure = Failure {
                    detail: failure.detail.clone(),
                    ..Failure::seen(failure.condition, failure.after)
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
        is_own_word: false,
        connected: None,
        sent: 0,
        end: End::Nothing(failure),
        unconnected: None,
    }
}

/// One protocol at one address.
fn probe(plan: &Plan, address: SocketAddr, deadline: Instant) -> Result<Finding, RunError> {
    let left = || deadline.saturating_duration_since(Instant::now()).max(SHORTEST);
    let bind = plan.settings.bind;
    thread::scope(|scope| {
        // Beside it, and not before: the time is for both.
        let unconnected = plan.protocol.unconnected.map(|unconnected| {
            let patience = left();
            scope.spawn(move || unconnected(address, bind, QUESTION, patience))
        });
        let begun = Instant::now();
        let inlet = InletConfig { timeout: left(), spin: false, stamps: false };
        let config = OpenConfig { bind, nagle: false, inlet };
        let opening = (plan.protocol.open)(address, config)?;
        let mut finding = Finding {
            connected: opening.connection.and_then(|connection| connection.handshake()),
            address: Some(address),
            ..unresolved(plan, Failure::seen(Condition::Silent, Duration::ZERO))
        };
        match Link::new(opening, plan.protocol.framing) {
            Err(failure) => finding.end = End::Nothing(failure),
            Ok(mut link) => {
                finding.end =
                    ask(&mut link, plan.protocol.framing, (begun, deadline), &mut finding.sent)
                        .map_err(|error| refused(plan, address, error))?;
            }
        }
        if finding.connected.is_none() {
            finding.end = told_apart(finding.end, address);
        }
        finding.is_own_word = is_own_word(&finding);
        finding.unconnected =
            unconnected.and_then(|thread| thread.join().ok()).and_then(Result::ok);
        Ok(finding)
    })
}

/// Whether the ICMP error came from this host: nobody else's address can be bound to.
fn is_own_word(finding: &Finding) -> bool {
    match finding.failure().and_then(|failure| failure.origin) {
        Some(Origin::Icmp(Icmp { from: Some(from), .. })) => UdpSocket::bind((from, 0)).is_ok(),
        _ => false,
    }
}

/// Asks, and waits for what comes.
fn ask(
    link: &mut Link,
    framing: Framing,
    (begun, deadline): (Instant, Instant),
    sent: &mut u32,
) -> io::Result<End> {
    let mut load = Load::of_text(QUESTION, true, true);
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
            match link.send(seq, load.request(seq)) {
                Ok((stamp, _)) => stamps.push(stamp),
                Err(error) => match failed(link, error, begun, true)? {
                    Some(end) => return Ok(end),
                    None => continue,
                },
            }
            *sent += 1;
        }
        let next = times.get(stamps.len()).map_or(deadline, |at| begun + whole.mul_f64(*at));
        match link.receive(Until::Precisely(next.min(deadline)), &mut load, None) {
            Ok(Arrival::Reply(arrived)) => {
                let place = arrived.seq.and_then(|seq| usize::try_from(seq).ok()?.checked_sub(1));
                let Some(stamp) = place.and_then(|place| stamps.get(place)) else { continue };
                let rtt = arrived.received.since(stamp);
                return Ok(End::Echo { rtt, is_ours: arrived.timing.is_some() });
            }
            Ok(Arrival::Wrong { arrived, why }) => {
                let after =
                    stamps.first().map_or(Duration::ZERO, |first| arrived.received.since(first));
                let failure =
                    Failure { detail: Some(why), ..Failure::seen(Condition::WrongAnswer, after) };
                return Ok(End::Wrong { failure, text: arrived.bytes });
            }
            Ok(Arrival::End) => {
                let come = link.bytes_of_a_reply();
                let detail =
                    Some(format!("after {come} of the reply's {} bytes", load.reply_len()));
                let origin = Some(Origin::Peer);
                let failure = Failure::seen(Condition::Closed, begun.elapsed());
                return Ok(End::Nothing(Failure { origin, detail, ..failure }));
            }
            Ok(Arrival::Nothing) => {}
            Err(error) => {
                if let Some(end) = failed(link, error, begun, false)? {
                    return Ok(end);
                }
            }
        }
        if Instant::now() >= deadline {
            let come = link.bytes_of_a_reply();
            let detail = (come > 0)
                .then(|| format!("{come} of the reply's {} bytes came", load.reply_len()));
            let failure = Failure::seen(Condition::Silent, begun.elapsed());
            return Ok(End::Nothing(Failure { detail, ..failure }));
        }
    }
}

/// What an error means: nothing, if the network has said what does not end anything; the error itself, if it
/// means nothing to us.
fn failed(
    link: &mut Link,
    error: io::Error,
    begun: Instant,
    sending: bool,
) -> io::Result<Option<End>> {
    let after = begun.elapsed();
    let notices = link.transport.notices();
    if let Some(failure) = notices.iter().rev().find_map(|notice| failure_in(notice, after)) {
        return Ok(Some(End::Nothing(failure)));
    }
    if !notices.is_empty() {
        return Ok(None);
    }
    let mut failure = failure_of(error, after)?;
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
    Ok(Some(End::Nothing(failure)))
}

fn refused(plan: &Plan, address: SocketAddr, error: io::Error) -> SocketError {
    SocketError { operation: "looking", protocol: plan.protocol.title, address, error }
}

/// A host that nobody on the link answers for is not a silent one, even if the system has not given up
/// asking: three seconds, on Linux.
fn told_apart(end: End, address: SocketAddr) -> End {
    match end {
        End::Nothing(failure) if failure.condition == Condition::Silent => {
            match system::unanswered_neighbour(address.ip()) {
                None => End::Nothing(failure),
                Some(neighbour) => End::Nothing(Failure {
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
