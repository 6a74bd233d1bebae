//! Popular claims about TCP and UDP, checked against the measurements.

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
    /// Whether the claim is true. Absent if this comparison cannot decide it, or if it is true only under some
    /// conditions.
    pub holds: Option<bool>,
    /// The measurements that support `holds`, or the reason why there are none.
    pub evidence: String,
}

/// Checks all claims.
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

const NEEDS_BOTH_PROTOCOLS: &str = "Not measured: this needs a comparison of UDP with TCP.";

/// A comparison of a stream protocol with a datagram protocol.
struct StreamAgainstDatagrams<'a> {
    stream: &'a Side,
    datagrams: &'a Side,
    /// The relation between the RTT of the stream and the RTT of the datagrams, on an established connection.
    rtt: Relation,
    /// The same relation with a new connection for each exchange, and the absolute difference in nanoseconds.
    with_connection: Option<(Relation, i64)>,
}

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
        let (stream, datagrams, stream_id) = match (a.is_stream(), b.is_stream()) {
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

    /// The result for a claim that a certain cause makes the stream slower. Call this function only if the cause was
    /// observed.
    fn holds_if_stream_is_higher(&self) -> Option<bool> {
        match self.rtt {
            Relation::StreamIsHigher => Some(true),
            Relation::StreamIsLower => Some(false),
            Relation::NoMeasurableDifference => None,
        }
    }

    /// The beginning of the evidence. Empty if there is a measurable difference. The text also states the difference
    /// with a new connection for each exchange, because users often mean this difference.
    fn no_difference(&self) -> String {
        if self.rtt != Relation::NoMeasurableDifference {
            return String::new();
        }
        let stream = self.stream.protocol.title;
        let with_connection = match self.with_connection {
            Some((Relation::StreamIsHigher, difference)) => format!(
                "With a new connection for each exchange, {stream} takes {} longer, including the handshake. ",
                durations(&[difference])
            ),
            Some((Relation::StreamIsLower, difference)) => format!(
                "With a new connection for each exchange, {stream} takes {} less. ",
                durations(&[difference])
            ),
            Some((Relation::NoMeasurableDifference, _)) | None => String::new(),
        };
        format!(
            "On an established connection, {stream} and {} have no measurable difference. {with_connection}",
            self.datagrams.protocol.title
        )
    }
}

fn congestion_control(sides: Option<&StreamAgainstDatagrams<'_>>) -> Claim {
    let claim = "TCP's RTT is higher because of congestion control";
    let Some(sides) = sides else { return undecided(claim, NEEDS_BOTH_PROTOCOLS) };
    let stream = sides.stream;
    if sides.rtt == Relation::StreamIsLower {
        let evidence = format!("{}'s RTT is not higher here.", stream.protocol.title);
        return Claim { claim, holds: Some(false), evidence };
    }
    let (Some(windows), Some(exceeded)) = (stream.windows, exceeded_congestion_window(stream))
    else {
        return undecided(claim, "Not measured: this system does not report congestion windows.");
    };
    let window = format!(
        "{} segments of {} bytes",
        count(windows.min_congestion_window.into()),
        count(windows.segment_bytes.into())
    );
    let size = count(stream.request_bytes as u64);
    if exceeded {
        let evidence = format!(
            "Requests of {size} bytes do not always fit into the congestion window. The smallest observed window \
             was {window}."
        );
        return Claim { claim, holds: sides.holds_if_stream_is_higher(), evidence };
    }
    let evidence = format!(
        "{}Requests of {size} bytes always fit into the congestion window. The smallest observed window was \
         {window}.",
        sides.no_difference()
    );
    Claim { claim, holds: Some(false), evidence }
}

fn acknowledgements(sides: Option<&StreamAgainstDatagrams<'_>>) -> Claim {
    let claim = "UDP is faster because it does not wait for acknowledgements";
    let Some(sides) = sides else { return undecided(claim, NEEDS_BOTH_PROTOCOLS) };
    let stream = sides.stream;
    if sides.rtt == Relation::StreamIsLower {
        let evidence = format!("{} is not faster here.", sides.datagrams.protocol.title);
        return Claim { claim, holds: Some(false), evidence };
    }
    match waited_for_acknowledgement(stream) {
        None => undecided(
            claim,
            "Not measured: this needs kernel timestamps (Linux) and a request that fits into one segment.",
        ),
        Some(true) => Claim {
            claim,
            holds: sides.holds_if_stream_is_higher(),
            evidence: format!(
                "{}'s requests left this host late, as if they waited for acknowledgements.",
                stream.protocol.title
            ),
        },
        Some(false) => {
            let send = stream.with_timestamps.as_ref();
            let send = send.and_then(|summary| summary.breakdown.send.median());
            let evidence = format!(
                "{}{}'s requests left this host {} after the program sent them (median). In this time, no \
                 acknowledgement could arrive.",
                sides.no_difference(),
                stream.protocol.title,
                send.map_or_else(String::new, duration)
            );
            Claim { claim, holds: Some(false), evidence }
        }
    }
}

fn closed_port(closed_port: Option<ClosedPort>) -> Claim {
    let claim = "a UDP client receives an error if no server listens on the port";
    let Some(ClosedPort { connected, unconnected, timeout }) = closed_port else {
        return undecided(claim, "Not measured: no closed port was available on this host.");
    };
    let result = |error: Option<Duration>| match error {
        Some(after) => format!("received an error after {}", duration(after)),
        None => format!("received no error within {} ms", decimal(timeout.as_secs_f64() * 1e3)),
    };
    let same = connected.is_some() == unconnected.is_some();
    Claim {
        claim,
        // If only one kind of socket receives an error, the claim is neither confirmed nor refuted. The result
        // depends on the socket of the client.
        holds: same.then_some(connected.is_some()),
        evidence: format!(
            "{}After a datagram to a closed port of this host, a connected socket {}, and an unconnected socket {}. \
             If a firewall drops the packets, neither socket receives an error.",
            if same { "" } else { "It depends on the socket. " },
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
        return undecided(claim, "Not measured: no exchange used a new connection.");
    };
    Claim {
        claim,
        holds: Some(false),
        evidence: format!(
            "The handshake takes {}, once for each connection, before the client sends the request. The first \
             exchange after it takes {}. A later exchange takes {}.",
            duration(handshake),
            duration(first),
            duration(later)
        ),
    }
}

fn undecided(claim: &'static str, reason: &str) -> Claim {
    Claim { claim, holds: None, evidence: reason.to_owned() }
}
