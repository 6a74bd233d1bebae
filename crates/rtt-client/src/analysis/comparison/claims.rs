//! What the lab's first answers said, held against what was measured.

use super::causes::{congestion_window_limited, stood_in_the_way};
use super::{PairedDifference, SideId};
use crate::analysis::evidence::{ClosedPort, Evidence, Side};
use crate::model::format::{count, decimal, duration};

/// A sentence that people believe, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The sentence.
    pub claim: &'static str,
    /// Whether it holds; nothing, where this run could not tell.
    pub holds: Option<bool>,
    /// What was measured, or why nothing could be.
    pub evidence: String,
}

/// All claims.
pub(super) fn list(
    evidence: &Evidence,
    steady: Option<PairedDifference>,
    fresh: Option<PairedDifference>,
) -> Vec<Claim> {
    vec![
        congestion_control(evidence, steady),
        acknowledgements(evidence, steady),
        closed_port(evidence.closed_port),
        handshake(evidence, fresh),
    ]
}

/// The one stream and the other side, if that is what was compared, and whether the stream's RTT is
/// longer, if a difference can be claimed.
fn stream_against_datagrams(
    evidence: &Evidence,
    steady: Option<PairedDifference>,
) -> Option<(&Side, Option<bool>)> {
    let claim = steady.and_then(|steady| steady.higher());
    match &evidence.sides {
        [datagrams, stream] if stream.is_stream && !datagrams.is_stream => {
            Some((stream, claim.map(|side| side == SideId::B)))
        }
        [stream, datagrams] if stream.is_stream && !datagrams.is_stream => {
            Some((stream, claim.map(|side| side == SideId::A)))
        }
        _ => None,
    }
}

const BOTH_KINDS: &str = "not measured: it takes one side over UDP and one over TCP";

fn congestion_control(evidence: &Evidence, steady: Option<PairedDifference>) -> Claim {
    let (holds, evidence) = match stream_against_datagrams(evidence, steady) {
        None => (None, BOTH_KINDS.to_owned()),
        Some((_, Some(false))) => (Some(false), "TCP's RTT is not the higher one here".to_owned()),
        Some((stream, longer)) => match (stream.windows, congestion_window_limited(stream)) {
            (Some(windows), Some(false)) => {
                let higher =
                    if longer.is_none() { "no difference can be claimed, and " } else { "" };
                let told = format!(
                    "{higher}requests of {} bytes always had room in the window: {} segments of {} \
                     bytes was the smallest that was seen on a connection that is kept",
                    count(stream.request_bytes as u64),
                    windows.min_congestion_window,
                    count(windows.segment_bytes.into())
                );
                (Some(false), told)
            }
            (Some(_), Some(true)) => {
                let told = "requests are longer than the smallest window that was seen";
                (longer, told.to_owned())
            }
            _ => {
                (None, "not measured: this system does not tell a connection's windows".to_owned())
            }
        },
    };
    Claim { claim: "TCP's RTT is higher because of congestion control", holds, evidence }
}

fn acknowledgements(evidence: &Evidence, steady: Option<PairedDifference>) -> Claim {
    let (holds, evidence) = match stream_against_datagrams(evidence, steady) {
        None => (None, BOTH_KINDS.to_owned()),
        Some((_, Some(false))) => (Some(false), "UDP is not the faster one here".to_owned()),
        Some((stream, longer)) => match stood_in_the_way(stream) {
            Some(false) => {
                let send =
                    stream.instrumented.as_ref().and_then(|with| with.breakdown.send.median());
                let faster =
                    if longer.is_none() { "no difference can be claimed, and " } else { "" };
                let told = format!(
                    "{faster}TCP's request left {} after it was handed over, before any \
                     acknowledgement could have come",
                    send.map_or_else(String::new, duration)
                );
                (Some(false), told)
            }
            Some(true) => (
                longer,
                "TCP's requests left late, as if they timeout for acknowledgements".to_owned(),
            ),
            None => (
                None,
                "not measured: it takes kernel stamps (Linux), and a request in one \
                            segment"
                    .to_owned(),
            ),
        },
    };
    Claim { claim: "UDP is faster because it does not wait for acknowledgements", holds, evidence }
}

fn closed_port(closed_port: Option<ClosedPort>) -> Claim {
    let claim = "a UDP client that sends to nobody gets an error";
    let Some(ClosedPort { connected, unconnected, timeout }) = closed_port else {
        let evidence = "not measured: this host gave no port to try it on".to_owned();
        return Claim { claim, holds: None, evidence };
    };
    let after = |told: Option<std::time::Duration>| match told {
        Some(after) => format!("an error after {}", duration(after)),
        None => format!("nothing in {} ms", decimal(timeout.as_secs_f64() * 1e3)),
    };
    Claim {
        claim,
        // Where one kind of client gets an error and another none, it depends.
        holds: (connected.is_some() == unconnected.is_some()).then_some(connected.is_some()),
        evidence: format!(
            "{}to a closed port of this host: {} on a connected socket, {} on an unconnected one; a \
             firewall that swallows packets gives nothing either way",
            if connected.is_some() == unconnected.is_some() { "" } else { "it depends: " },
            after(connected),
            after(unconnected)
        ),
    }
}

fn handshake(evidence: &Evidence, fresh: Option<PairedDifference>) -> Claim {
    let claim = "the handshake is part of TCP's RTT";
    let told = evidence.sides.iter().find_map(|side| {
        let fresh = side.with_connection.as_ref()?;
        Some((fresh.connect.median()?, fresh.rtt.median()?, side.summary.rtt.median()?))
    });
    match (told, fresh) {
        (Some((connect, first, steady)), Some(_)) => Claim {
            claim,
            holds: Some(false),
            evidence: format!(
                "it takes {}, before the request is sent and once a connection; the first exchange \
                 after it takes {}, one in the steady state {}",
                duration(connect),
                duration(first),
                duration(steady)
            ),
        },
        _ => Claim {
            claim,
            holds: None,
            evidence: "not measured: no exchange had a connection of its own".into(),
        },
    }
}
