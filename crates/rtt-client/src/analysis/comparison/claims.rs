//! Popular claims about TCP and UDP, checked against the measurements. Pure.

use super::causes::{exceeded_congestion_window, waited_for_acknowledgement};
use super::{PairedDifference, SideId};
use crate::analysis::evidence::{ClosedPort, Evidence, Side};
use crate::model::format::{count, decimal, duration, durations};
use std::time::Duration;

/// A popular claim, and whether this comparison confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The claim.
    pub claim: &'static str,
    /// Whether it holds. Absent if this comparison cannot decide it, or if the answer depends on the conditions.
    pub holds: Option<bool>,
    /// The measurements behind `holds`, or why there are none.
    pub evidence: String,
}

/// All claims.
pub(super) fn list(
    evidence: &Evidence,
    difference: PairedDifference,
    with_connection: Option<PairedDifference>,
) -> Vec<Claim> {
    let sides = StreamAgainstDatagrams::of(evidence, difference, with_connection);
    vec![
        congestion_control(sides.as_ref()),
        acknowledgements(sides.as_ref()),
        closed_port(evidence.closed_port),
        handshake(evidence, with_connection),
    ]
}

const NEEDS_BOTH_KINDS: &str =
    "not measured: the comparison needs one side over UDP and one over TCP";

/// A comparison of a stream protocol with a datagram protocol, from the view of the stream.
struct StreamAgainstDatagrams<'a> {
    stream: &'a Side,
    datagrams: &'a Side,
    /// The relation of the RTTs on an established connection.
    rtt: Relation,
    /// The relation with a new connection for each exchange, and the absolute difference in nanoseconds.
    with_connection: Option<(Relation, i64)>,
}

/// Whether the RTT of the stream is higher or lower than the RTT of the datagrams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    StreamIsHigher,
    StreamIsLower,
    NoMeasurableDifference,
}

impl<'a> StreamAgainstDatagrams<'a> {
    fn of(
        evidence: &'a Evidence,
        difference: PairedDifference,
        with_connection: Option<PairedDifference>,
    ) -> Option<Self> {
        let [a, b] = &evidence.sides;
        let (stream, datagrams, stream_id) = match (a.is_stream, b.is_stream) {
            (true, false) => (a, b, SideId::A),
            (false, true) => (b, a, SideId::B),
            _ => return None,
        };
        let relation = |difference: PairedDifference| match difference.higher() {
            None => Relation::NoMeasurableDifference,
            Some(higher) if higher == stream_id => Relation::StreamIsHigher,
            Some(_) => Relation::StreamIsLower,
        };
        let with_connection =
            with_connection.map(|difference| (relation(difference), difference.estimate.abs()));
        Some(Self { stream, datagrams, rtt: relation(difference), with_connection })
    }

    /// Whether the claimed cause makes the RTT higher, given that it acts: only if the RTT is higher at all.
    fn cause_acts(&self) -> Option<bool> {
        match self.rtt {
            Relation::StreamIsHigher => Some(true),
            Relation::StreamIsLower => Some(false),
            Relation::NoMeasurableDifference => None,
        }
    }

    /// The beginning of the evidence if there is no measurable difference. It also states the difference with a
    /// new connection for each exchange, because that is the difference that a user sees.
    fn without_difference(&self) -> String {
        if self.rtt != Relation::NoMeasurableDifference {
            return String::new();
        }
        let stream = self.stream.title;
        let with_connection = match self.with_connection {
            Some((Relation::StreamIsHigher, difference)) => format!(
                " (with a new connection for each exchange, {stream} takes {} longer, including the handshake)",
                durations(&[difference])
            ),
            Some((Relation::StreamIsLower, difference)) => format!(
                " (with a new connection for each exchange, {stream} takes {} less)",
                durations(&[difference])
            ),
            Some((Relation::NoMeasurableDifference, _)) | None => String::new(),
        };
        format!(
            "on an established connection, {stream} and {} have no measurable difference{with_connection}, and ",
            self.datagrams.title
        )
    }
}

fn congestion_control(sides: Option<&StreamAgainstDatagrams<'_>>) -> Claim {
    let claim = "TCP's RTT is higher because of congestion control";
    let Some(sides) = sides else { return undecided(claim, NEEDS_BOTH_KINDS) };
    let stream = sides.stream;
    if sides.rtt == Relation::StreamIsLower {
        let evidence = format!("{}'s RTT is not higher here", stream.title);
        return Claim { claim, holds: Some(false), evidence };
    }
    let (Some(windows), Some(exceeded)) = (stream.windows, exceeded_congestion_window(stream))
    else {
        return undecided(claim, "not measured: this system does not report congestion windows");
    };
    let window = format!(
        "{} segments of {} bytes",
        count(windows.min_congestion_window.into()),
        count(windows.segment_bytes.into())
    );
    let size = count(stream.request_bytes as u64);
    if exceeded {
        let evidence = format!(
            "requests of {size} bytes did not fit into the smallest observed congestion window: {window}"
        );
        return Claim { claim, holds: sides.cause_acts(), evidence };
    }
    let evidence = format!(
        "{}requests of {size} bytes always fitted into the congestion window: the smallest one observed on the \
         established connection was {window}",
        sides.without_difference()
    );
    Claim { claim, holds: Some(false), evidence }
}

fn acknowledgements(sides: Option<&StreamAgainstDatagrams<'_>>) -> Claim {
    let claim = "UDP is faster because it does not wait for acknowledgements";
    let Some(sides) = sides else { return undecided(claim, NEEDS_BOTH_KINDS) };
    let stream = sides.stream;
    if sides.rtt == Relation::StreamIsLower {
        let evidence = format!("{} is not faster here", sides.datagrams.title);
        return Claim { claim, holds: Some(false), evidence };
    }
    match waited_for_acknowledgement(stream) {
        None => undecided(
            claim,
            "not measured: this needs kernel timestamps (Linux) and a request that fits into one segment",
        ),
        Some(true) => Claim {
            claim,
            holds: sides.cause_acts(),
            evidence: format!(
                "{}'s requests left this host late, as if they waited for acknowledgements",
                stream.title
            ),
        },
        Some(false) => {
            let send = stream.instrumented.as_ref().and_then(|with| with.breakdown.send.median());
            let evidence = format!(
                "{}{}'s request left this host {} after the program sent it, before an acknowledgement could \
                 arrive",
                sides.without_difference(),
                stream.title,
                send.map_or_else(String::new, duration)
            );
            Claim { claim, holds: Some(false), evidence }
        }
    }
}

fn closed_port(closed_port: Option<ClosedPort>) -> Claim {
    let claim = "a UDP client receives an error if no server listens on the port";
    let Some(ClosedPort { connected, unconnected, timeout }) = closed_port else {
        return undecided(claim, "not measured: no closed port was available on this host");
    };
    let result = |error: Option<Duration>| match error {
        Some(after) => format!("an error after {}", duration(after)),
        None => format!("no error within {} ms", decimal(timeout.as_secs_f64() * 1e3)),
    };
    let same = connected.is_some() == unconnected.is_some();
    Claim {
        claim,
        // If only one kind of socket receives an error, the answer depends on the client.
        holds: same.then_some(connected.is_some()),
        evidence: format!(
            "{}from a closed port of this host, a connected socket receives {}, an unconnected socket {}; behind a \
             firewall that drops packets, neither receives an error",
            if same { "" } else { "it depends on the socket: " },
            result(connected),
            result(unconnected)
        ),
    }
}

fn handshake(evidence: &Evidence, with_connection: Option<PairedDifference>) -> Claim {
    let claim = "the handshake is part of TCP's RTT";
    let measured = evidence.sides.iter().find_map(|side| {
        let with_connection = side.with_connection.as_ref()?;
        let (handshake, first) = (with_connection.connect.median()?, with_connection.rtt.median()?);
        Some((handshake, first, side.summary.rtt.median()?))
    });
    let (Some((handshake, first, later)), Some(_)) = (measured, with_connection) else {
        return undecided(claim, "not measured: no exchange used a new connection");
    };
    Claim {
        claim,
        holds: Some(false),
        evidence: format!(
            "the handshake takes {}, once for each connection, before the client sends the request; the first \
             exchange after it takes {}, an exchange on an established connection {}",
            duration(handshake),
            duration(first),
            duration(later)
        ),
    }
}

fn undecided(claim: &'static str, reason: &str) -> Claim {
    Claim { claim, holds: None, evidence: reason.to_owned() }
}
