//! Popular claims about UDP.

use crate::analysis::comparison::transmission::waited_for_acknowledgement;
use crate::analysis::comparison::{Claim, Relation, undecided};
use crate::analysis::evidence::{Measurement, Side};
use crate::analysis::explain::ClaimContext;
use crate::model::format::duration;

/// The measurement of the time until a connected socket received an error from a closed port.
pub(crate) const CONNECTED_SOCKET: &str = "error at a connected socket";

/// The measurement of the time until an unconnected socket received an error from a closed port.
pub(crate) const UNCONNECTED_SOCKET: &str = "error at an unconnected socket";

/// Checks all claims about UDP.
pub(super) fn list(context: &ClaimContext<'_>) -> Vec<Claim> {
    let claims = [acknowledgements(context), Some(closed_port(context.side))];
    claims.into_iter().flatten().collect()
}

/// The claim compares UDP with a reliable protocol. `None` if the other side is not reliable, or if each
/// of its exchanges has a new connection, because its acknowledgements are not observed.
fn acknowledgements(context: &ClaimContext<'_>) -> Option<Claim> {
    let claim = "UDP is faster because it does not wait for acknowledgements";
    let other = context.other;
    if !other.protocol.is_reliable {
        return None;
    }
    if context.relation() == Relation::Higher {
        let evidence = "UDP is not faster here.".to_owned();
        return Some(Claim { claim, holds: Some(false), evidence });
    }
    if other.has_new_connections() {
        return None;
    }
    Some(match waited_for_acknowledgement(other) {
        None => undecided(
            claim,
            "Not measured: this needs kernel timestamps (Linux) and a request that fits into one segment.",
        ),
        Some(true) => Claim {
            claim,
            holds: context.holds_if(Relation::Lower),
            evidence: format!(
                "{}'s requests left this host late, so they possibly waited for acknowledgements.",
                other.protocol.title
            ),
        },
        Some(false) => {
            let send = other.with_timestamps.as_ref();
            let send = send.and_then(|summary| summary.breakdown.send.median());
            let evidence = format!(
                "{}{}'s requests left this host {} after the program sent them (median). In this time, no \
                 acknowledgement could arrive.",
                context.no_difference(),
                other.protocol.title,
                send.map_or_else(String::new, duration)
            );
            Claim { claim, holds: Some(false), evidence }
        }
    })
}

fn closed_port(side: &Side) -> Claim {
    let claim = "a UDP client receives an error if no server listens on the port";
    let (Some(connected), Some(unconnected)) =
        (side.measurement(CONNECTED_SOCKET), side.measurement(UNCONNECTED_SOCKET))
    else {
        return undecided(claim, "Not measured: no closed port was available on this host.");
    };
    let error = |measurement: &Measurement| measurement.durations.min();
    let result = |measurement: &Measurement| match (error(measurement), &measurement.failure) {
        (Some(after), _) => format!("received an error after {}", duration(after)),
        (None, Some(reason)) => format!("received {reason}"),
        (None, None) => "received no error".to_owned(),
    };
    let same = error(connected).is_some() == error(unconnected).is_some();
    Claim {
        claim,
        // If only one kind of socket receives an error, the claim is neither confirmed nor refuted. The result
        // depends on the socket of the client.
        holds: same.then_some(error(connected).is_some()),
        evidence: format!(
            "{}After a datagram to a closed port of this host, a connected socket {}, and an unconnected socket {}. \
             If a firewall drops the packets, neither socket receives an error.",
            if same { "" } else { "It depends on the socket. " },
            result(connected),
            result(unconnected)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::udp::facts::FACTS;
    use std::time::Duration;

    fn measurement(name: &'static str, error_after_us: Option<u64>) -> Measurement {
        let mut measurement = Measurement { name, ..Measurement::default() };
        match error_after_us {
            Some(after) => measurement.durations.add(Duration::from_micros(after)),
            None => measurement.failure = Some("no error within 200 ms".to_owned()),
        }
        measurement
    }

    #[test]
    fn claim_about_a_closed_port_needs_the_same_result_at_both_sockets() {
        let claim_for = |connected, unconnected| {
            let mut side = Side::new(crate::protocol_named(FACTS.name).unwrap(), "h:1");
            side.measurements = vec![
                measurement(CONNECTED_SOCKET, connected),
                measurement(UNCONNECTED_SOCKET, unconnected),
            ];
            closed_port(&side)
        };
        assert_eq!(claim_for(Some(20), Some(30)).holds, Some(true));
        assert_eq!(claim_for(None, None).holds, Some(false));
        let different = claim_for(Some(20), None);
        assert_eq!(different.holds, None);
        for part in [
            "It depends on the socket. ",
            "a connected socket received an error after 20.0 µs",
            "an unconnected socket received no error within 200 ms.",
        ] {
            assert!(different.evidence.contains(part), "{part} in {different:?}");
        }
    }

    #[test]
    fn claim_about_a_closed_port_is_undecided_without_the_experiment() {
        let side = Side::new(crate::protocol_named(FACTS.name).unwrap(), "h:1");
        let claim = closed_port(&side);
        assert_eq!(claim.holds, None);
        assert!(claim.evidence.starts_with("Not measured: "), "{claim:?}");
    }
}
