//! Tests of verdicts from constructed evidence.

mod services;

use super::*;
use crate::analysis::evidence::{IncompleteExperiment, Pair, Side, SweepPoint, Windows};
use crate::analysis::statistics::Summary;
use crate::model::breakdown::{Breakdown, NetworkAndServer};
use crate::model::condition::{Condition, Failure};
use crate::model::traffic::{KernelStatistics, Traffic};
use crate::protocol::registry::protocol_named;
use std::time::Duration;

const fn microseconds(number: u64) -> Duration {
    Duration::from_micros(number)
}

/// 500 pairs: A takes about 100 µs, and B takes `longer` µs more. About one exchange in ten has a stall of 5 ms.
fn pairs(longer: u64) -> Vec<Pair> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut time = |more: u64| {
        let stall = if random.u8(..) < 25 { 5000 } else { 0 };
        Some(microseconds(100 + more + stall) + Duration::from_nanos(random.u64(..8000)))
    };
    (0..500).map(|_| Pair { b_first: false, a: time(0), b: time(longer) }).collect()
}

fn side(protocol: &str, send: u64, receive: u64) -> Side {
    let side = Side::new(protocol_named(protocol).unwrap(), format!("{protocol}://h:1"));
    let has_connections = side.protocol.has_connections();
    let mut with_timestamps = Summary::default();
    for _ in 0..10 {
        let (network, server) = (microseconds(50), microseconds(9));
        let network_and_server =
            NetworkAndServer::Separate { network, server, limit: Duration::ZERO };
        let (send, receive) = (microseconds(send), microseconds(receive));
        with_timestamps.breakdown.add(&Breakdown { send, network_and_server, receive });
    }
    let mut with_connection = Summary::default();
    with_connection.connect.add(microseconds(60));
    with_connection.rtt.add(microseconds(110));
    let mut summary = Summary { sent: 500, received: 500, ..Summary::default() };
    summary.kernel_statistics = has_connections
        .then(|| KernelStatistics { retransmissions: Some(0), ..KernelStatistics::default() });
    summary.rtt.add(microseconds(100));
    Side {
        request_bytes: 64,
        summary,
        with_timestamps: Some(with_timestamps),
        with_connection: has_connections.then_some(with_connection),
        traffic: Some(Traffic { packets_out: 500, packets_in: 500, ..Traffic::default() }),
        traffic_exchanges: 500,
        windows: has_connections.then_some(Windows {
            min_congestion_window: 10,
            segment_bytes: 1460,
            limited_by_peer: Duration::ZERO,
            limited_by_buffer: Duration::ZERO,
            min_rtt: Some(microseconds(55)),
        }),
        ..side
    }
}

fn evidence(longer: u64) -> Evidence {
    Evidence {
        pairs: pairs(longer),
        pairs_with_connection: pairs(longer + 60),
        ..Evidence::new([side("udp", 2, 30), side("tcp", 3, 35)])
    }
}

fn cause(verdict: &Verdict, name: &str) -> Cause {
    let cause = verdict.causes.iter().find(|cause| cause.kind.name() == name);
    cause.unwrap_or_else(|| panic!("no {name} in {:?}", verdict.causes)).clone()
}

const CONGESTION_CONTROL: &str = "TCP's RTT is higher because of congestion control";
const ACKNOWLEDGEMENTS: &str = "UDP is faster because it does not wait for acknowledgements";
const HANDSHAKE: &str = "the handshake is part of TCP's RTT";

fn claim(verdict: &Verdict, text: &str) -> Claim {
    let claim = verdict.claims.iter().find(|claim| claim.claim == text);
    claim.unwrap_or_else(|| panic!("no {text} in {:?}", verdict.claims)).clone()
}

/// The results for the claims that the evidence of these tests can decide.
fn decided(verdict: &Verdict) -> Vec<(&'static str, bool)> {
    verdict.claims.iter().filter_map(|claim| Some((claim.claim, claim.holds?))).collect()
}

#[test]
fn difference_has_an_interval_and_causes() {
    let verdict = judge(&evidence(10), 0.95);
    let difference = verdict.difference.unwrap();
    let ConfidenceInterval { low, high } = difference.interval.unwrap();
    assert!(low <= 10_000 && 10_000 <= high && high - low < 2000, "{difference:?}");
    assert!(verdict.sentence.starts_with("TCP takes "), "{}", verdict.sentence);
    assert!(
        verdict.sentence.contains("µs longer (median; 95 % confidence interval "),
        "{}",
        verdict.sentence
    );
    assert_eq!(cause(&verdict, "send").share, Some(1000));
    assert_eq!(cause(&verdict, "network").share, Some(0));
    assert_eq!(cause(&verdict, "receive").share, Some(5000));
    assert_eq!(cause(&verdict, "handshake").share, Some(60_000));
    let first = cause(&verdict, "first-exchange").share.unwrap();
    assert!(first.abs() < 2000, "{first}");
    assert_eq!(cause(&verdict, "windows").share, Some(0));
    assert_eq!(cause(&verdict, "acknowledgements").share, Some(0));
    assert!(cause(&verdict, "payload-size").evidence.contains("--sweep"));
    let expected = [(ACKNOWLEDGEMENTS, false), (CONGESTION_CONTROL, false), (HANDSHAKE, false)];
    assert_eq!(decided(&verdict), expected);
}

#[test]
fn same_evidence_gives_the_same_verdict() {
    let verdict = |evidence: &Evidence| format!("{:?}", judge(evidence, 0.95));
    assert_eq!(verdict(&evidence(10)), verdict(&evidence(10)));
}

#[test]
fn verdict_without_difference_states_a_bound() {
    let verdict = judge(&evidence(0), 0.99);
    assert_eq!(verdict.difference.unwrap().higher(), None);
    assert!(verdict.sentence.starts_with("No measurable difference: below "));
    assert!(verdict.sentence.ends_with(" µs (99 % confidence)."), "{}", verdict.sentence);
}

#[test]
fn swapped_sides_give_the_mirrored_verdict() {
    let mut mirrored = evidence(10);
    mirrored.sides.reverse();
    for pair in mirrored.pairs.iter_mut().chain(&mut mirrored.pairs_with_connection) {
        std::mem::swap(&mut pair.a, &mut pair.b);
    }
    let verdict = judge(&mirrored, 0.95);
    assert!(verdict.sentence.starts_with("TCP takes "), "{}", verdict.sentence);
    assert_eq!(cause(&verdict, "receive").share, Some(-5000));
    // The claims about A's protocol are first.
    let expected = [(CONGESTION_CONTROL, false), (HANDSHAKE, false), (ACKNOWLEDGEMENTS, false)];
    assert_eq!(decided(&verdict), expected);
}

#[test]
fn causes_without_measurements_have_no_share() {
    let mut portable = evidence(10);
    portable.no_breakdown_reason = Some("this needs kernel timestamps (Linux)".into());
    portable.pairs_with_connection.clear();
    for side in &mut portable.sides {
        side.with_timestamps = None;
        side.windows = None;
        side.traffic = None;
        side.summary.kernel_statistics = None;
        side.with_connection = None;
    }
    let verdict = judge(&portable, 0.95);
    assert_eq!(verdict.difference.unwrap().higher(), Some(SideId::B));
    for name in ["breakdown", "handshake", "acknowledgements", "windows", "retransmission"] {
        let cause = cause(&verdict, name);
        assert_eq!(cause.share, None, "{cause:?}");
        assert!(cause.evidence.starts_with("Not measured: "), "{cause:?}");
    }
    assert_eq!((verdict.claims.len(), decided(&verdict)), (4, vec![]));
}

#[test]
fn sides_of_the_same_protocol_decide_no_claim() {
    let mut same = evidence(10);
    same.sides[1] = side("udp", 3, 35);
    same.pairs_with_connection.clear();
    let verdict = judge(&same, 0.95);
    assert!(verdict.sentence.starts_with("B takes "), "{}", verdict.sentence);
    // Only the claims about this protocol alone are listed, and each of them once.
    assert_eq!((verdict.claims.len(), decided(&verdict)), (1, vec![]));
}

#[test]
fn small_window_and_waiting_requests_are_detected() {
    let mut long = evidence(10);
    long.sides[1].request_bytes = 64_000;
    let verdict = judge(&long, 0.95);
    assert!(cause(&verdict, "windows").evidence.contains("The requests did not fit"));
    assert_eq!(claim(&verdict, CONGESTION_CONTROL).holds, Some(true));
    let mut waiting = evidence(100);
    let windows = waiting.sides[1].windows.as_mut().unwrap();
    windows.min_rtt = Some(microseconds(1));
    windows.limited_by_peer = microseconds(70);
    let verdict = judge(&waiting, 0.95);
    assert_eq!(claim(&verdict, ACKNOWLEDGEMENTS).holds, Some(true));
    assert!(cause(&verdict, "windows").evidence.contains("70.0 µs"));
}

#[test]
fn request_in_several_segments_does_not_decide_the_claim_about_acknowledgements() {
    let mut long = evidence(10);
    long.sides[1].request_bytes = 10_000;
    long.sides[1].windows.as_mut().unwrap().min_rtt = Some(microseconds(1));
    let verdict = judge(&long, 0.95);
    assert_eq!(claim(&verdict, ACKNOWLEDGEMENTS).holds, None, "{:?}", verdict.claims);
    assert_eq!(cause(&verdict, "acknowledgements").share, None);
}

#[test]
fn interruption_is_the_reason_for_missing_measurements() {
    let mut interrupted = Evidence { interrupted: true, ..evidence(10) };
    interrupted.pairs_with_connection.clear();
    for side in &mut interrupted.sides {
        (side.with_timestamps, side.with_connection) = (None, None);
    }
    let verdict = judge(&interrupted, 0.95);
    for name in ["breakdown", "handshake", "nagle-and-delayed-acknowledgement"] {
        assert_eq!(cause(&verdict, name).evidence, "Not measured: the comparison was interrupted.");
    }
    assert!(verdict.notes.iter().any(|note| note.contains("interrupted")), "{verdict:?}");
}

#[test]
fn statement_about_the_request_size_needs_enough_pairs() {
    let size = |bytes, longer, count| SweepPoint { bytes, pairs: pairs(longer)[..count].to_vec() };
    let evidence_of = |sweep| {
        let evidence = Evidence { sweep, ..evidence(10) };
        cause(&judge(&evidence, 0.95), "payload-size").evidence
    };
    let change = evidence_of(vec![size(16, 10, 200), size(64, 10, 200), size(1024, 90, 200)]);
    assert!(
        change.contains("The difference changes at 1,024 bytes (95 % confidence)."),
        "{change}"
    );
    let back = evidence_of(vec![size(16, 10, 200), size(64, 90, 200), size(1024, 10, 200)]);
    assert!(back.contains("the same at every size"), "{back}");
    let few = evidence_of(vec![size(16, 10, 3), size(64, 90, 3)]);
    assert!(few.contains("too few pairs of each size"), "{few}");
}

#[test]
fn losses_and_retransmissions_are_noted() {
    let mut lossy = evidence(10);
    lossy.sides[0].summary.received = 480;
    lossy.sides[0].summary.lost = 20;
    lossy.incomplete.push(IncompleteExperiment {
        name: "new connections".into(),
        pairs_without_reply: 3,
        pairs: 100,
    });
    lossy.sides[1].summary.kernel_statistics.as_mut().unwrap().retransmissions = Some(3);
    let verdict = judge(&lossy, 0.95);
    assert!(!verdict.all_answered);
    assert!(verdict.notes[0].contains("20 of 500 exchanges with UDP"), "{:?}", verdict.notes);
    assert!(verdict.notes[1].contains("TCP retransmitted 3 segments"), "{:?}", verdict.notes);
    assert!(verdict.notes[2].contains("new connections, 3 of 100 pairs"), "{:?}", verdict.notes);
}

#[test]
fn verdict_needs_replies_and_enough_pairs() {
    let mut without_pairs = Evidence::new(evidence(0).sides);
    without_pairs.sides[1].failure = Some(Failure::new(Condition::Refused, Duration::ZERO));
    let verdict = judge(&without_pairs, 0.95);
    assert_eq!(verdict.sentence, "No verdict: TCP tcp://h:1: refused.");
    assert_eq!((verdict.difference, verdict.difference_with_connection), (None, None));
    assert!(verdict.causes.is_empty() && verdict.claims.is_empty(), "{verdict:?}");
    let mut slow_disturbance = evidence(0);
    for (place, pair) in slow_disturbance.pairs.iter_mut().enumerate() {
        let slow = if place < 250 { 1000 } else { 0 };
        pair.b = pair.b.map(|time| time + microseconds(slow));
    }
    let verdict = judge(&slow_disturbance, 0.95);
    assert!(verdict.sentence.starts_with("No "), "{}", verdict.sentence);
    let few = Evidence { pairs: pairs(10)[..5].to_vec(), ..evidence(10) };
    let verdict = judge(&few, 0.95);
    assert!(
        verdict
            .sentence
            .starts_with("No verdict from 5 pairs: a confidence of 95 % needs at least ")
    );
}

#[test]
fn first_note_reports_that_the_side_with_the_lower_median_has_the_higher_p99() {
    let mut tail = evidence(10);
    for (side, (usual, slow)) in tail.sides.iter_mut().zip([(100, 203), (110, 150)]) {
        for number in 0..600 {
            side.summary.rtt.add(microseconds(if number % 50 == 0 { slow } else { usual }));
        }
        side.summary.lost = 1;
    }
    let note = &judge(&tail, 0.95).notes[0];
    let expected = "But the slowest 1 % of UDP exchanges are slower: p99 is 203.0 µs for UDP and 150.0 µs for TCP.";
    assert_eq!(note, expected);
    tail.sides.reverse();
    assert_eq!(&judge(&tail, 0.95).notes[0], expected);
}

#[test]
fn claims_also_state_the_difference_with_a_new_connection() {
    let mut evidence = evidence(0);
    evidence.pairs_with_connection = pairs(2200);
    let verdict = judge(&evidence, 0.95);
    for claim in [CONGESTION_CONTROL, ACKNOWLEDGEMENTS].map(|text| claim(&verdict, text)) {
        assert_eq!(claim.holds, Some(false));
        for part in [
            "On an established connection, TCP and UDP have no measurable difference",
            "With a new connection for each exchange, TCP takes 2.200 ms longer, including the handshake.",
        ] {
            assert!(claim.evidence.contains(part), "{part} in {claim:?}");
        }
    }
    assert!(
        verdict.sentence_with_connection.unwrap().starts_with("With a new connection for each")
    );
}
