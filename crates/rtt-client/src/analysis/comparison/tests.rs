//! Scripted evidence, and what has to be said of it.

use super::*;
use crate::analysis::evidence::{ClosedPort, Pair, Side, SweepPoint, TwoWrites, Windows};
use crate::analysis::statistics::Summary;
use crate::model::breakdown::{Breakdown, NetworkAndServer};
use crate::model::condition::{Condition, Failure};
use crate::model::tcp_info::TcpInfo;
use crate::model::traffic::Traffic;
use std::time::Duration;

const fn microseconds(number: u64) -> Duration {
    Duration::from_micros(number)
}

/// 500 pairs, A around 100 µs, B so much longer; one in ten with a stall of the machine's.
fn pairs(longer: u64) -> Vec<Pair> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut time = |more: u64| {
        let stall = if random.u8(..) < 25 { 5000 } else { 0 };
        Some(microseconds(100 + more + stall) + Duration::from_nanos(random.u64(..8000)))
    };
    (0..500).map(|_| Pair { b_first: false, a: time(0), b: time(longer) }).collect()
}

fn side(title: &'static str, is_stream: bool, send: u64, receive: u64) -> Side {
    let mut with = Summary::default();
    for _ in 0..10 {
        let (network, server) = (microseconds(50), microseconds(9));
        let network_and_server = NetworkAndServer::Separate { network, server };
        let (send, receive) = (microseconds(send), microseconds(receive));
        with.breakdown.add(&Breakdown { send, network_and_server, receive });
    }
    let mut fresh = Summary::default();
    fresh.connect.add(microseconds(60));
    fresh.rtt.add(microseconds(110));
    let mut steady = Summary { sent: 500, received: 500, ..Summary::default() };
    steady.tcp = is_stream.then(|| TcpInfo { retransmissions: Some(0), ..TcpInfo::default() });
    steady.rtt.add(microseconds(100));
    Side {
        title,
        target: format!("{}://h:1", title.to_lowercase()),
        is_stream,
        request_bytes: 64,
        summary: steady,
        instrumented: Some(with),
        with_connection: is_stream.then_some(fresh),
        traffic: Some(Traffic { packets_out: 500, packets_in: 500, ..Traffic::default() }),
        traffic_exchanges: 500,
        windows: is_stream.then_some(Windows {
            min_congestion_window: 10,
            segment_bytes: 1460,
            limited_by_peer: Duration::ZERO,
            limited_by_buffer: Duration::ZERO,
            min_rtt: Some(microseconds(55)),
        }),
        ..Side::default()
    }
}

fn evidence(longer: u64) -> Evidence {
    Evidence {
        sides: [side("UDP", false, 2, 30), side("TCP", true, 3, 35)],
        pairs: pairs(longer),
        pairs_with_connection: pairs(longer + 60),
        closed_port: Some(ClosedPort {
            connected: Some(microseconds(20)),
            unconnected: None,
            timeout: Duration::from_millis(200),
        }),
        ..Evidence::default()
    }
}

fn cause(verdict: &Verdict, name: &str) -> Cause {
    let found = verdict.causes.iter().find(|cause| cause.kind.name() == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", verdict.causes)).clone()
}

fn holds(verdict: &Verdict) -> Vec<Option<bool>> {
    verdict.claims.iter().map(|claim| claim.holds).collect()
}

#[test]
fn a_difference_is_told_with_its_size_and_its_causes() {
    let verdict = judge(&evidence(10), 0.95);
    let shift = verdict.difference.unwrap();
    let (low, high) = shift.interval.unwrap();
    assert!(low <= 10_000 && 10_000 <= high && high - low < 2000, "{shift:?}");
    assert!(verdict.sentence.starts_with("TCP takes "), "{}", verdict.sentence);
    assert!(verdict.sentence.contains("µs longer (95 % sure: "), "{}", verdict.sentence);
    assert_eq!(cause(&verdict, "send").share, Some(1000));
    assert_eq!(cause(&verdict, "network").share, Some(0));
    assert_eq!(cause(&verdict, "receive").share, Some(5000));
    assert_eq!(cause(&verdict, "handshake").share, Some(60_000));
    let first = cause(&verdict, "first-exchange").share.unwrap();
    assert!(first.abs() < 2000, "{first}");
    assert_eq!(cause(&verdict, "windows").share, Some(0));
    assert_eq!(cause(&verdict, "acknowledgements").share, Some(0));
    assert!(cause(&verdict, "payload-size").evidence.contains("--sweep"));
    // Congestion control, acknowledgements, an error from nobody, the handshake.
    assert_eq!(holds(&verdict), [Some(false), Some(false), None, Some(false)]);
}

#[test]
fn the_same_samples_give_the_same_verdict() {
    let told = |evidence: &Evidence| format!("{:?}", judge(evidence, 0.95));
    assert_eq!(told(&evidence(10)), told(&evidence(10)));
}

#[test]
fn no_difference_is_told_with_its_bound() {
    let verdict = judge(&evidence(0), 0.99);
    assert_eq!(verdict.difference.unwrap().higher(), None);
    assert!(verdict.sentence.starts_with("No difference that 500 pairs can show: less than "));
    assert!(verdict.sentence.ends_with("either way (99 % sure)."), "{}", verdict.sentence);
}

#[test]
fn which_side_the_stream_is_on_makes_no_difference() {
    let mut mirrored = evidence(10);
    mirrored.sides.reverse();
    for pair in mirrored.pairs.iter_mut().chain(&mut mirrored.pairs_with_connection) {
        std::mem::swap(&mut pair.a, &mut pair.b);
    }
    let verdict = judge(&mirrored, 0.95);
    assert!(verdict.sentence.starts_with("TCP takes "), "{}", verdict.sentence);
    assert_eq!(cause(&verdict, "receive").share, Some(-5000));
    assert_eq!(holds(&verdict), [Some(false), Some(false), None, Some(false)]);
}

#[test]
fn what_was_not_measured_says_so_and_decides_nothing() {
    let mut portable = evidence(10);
    portable.no_breakdown_reason = Some("it needs the kernel's time stamps (Linux)".into());
    portable.closed_port = None;
    portable.pairs_with_connection.clear();
    for side in &mut portable.sides {
        side.instrumented = None;
        side.windows = None;
        side.traffic = None;
        side.summary.tcp = None;
        side.with_connection = None;
    }
    let verdict = judge(&portable, 0.95);
    assert!(verdict.difference.unwrap().higher() == Some(SideId::B));
    for name in ["breakdown", "handshake", "acknowledgements", "windows", "retransmission"] {
        let cause = cause(&verdict, name);
        assert_eq!(cause.share, None, "{cause:?}");
        assert!(cause.evidence.starts_with("not measured: "), "{cause:?}");
    }
    assert_eq!(holds(&verdict), [None; 4]);
}

#[test]
fn two_of_a_kind_have_no_claims_about_tcp_against_udp() {
    let mut twins = evidence(10);
    twins.sides[1] = side("UDP", false, 3, 35);
    twins.pairs_with_connection.clear();
    let verdict = judge(&twins, 0.95);
    assert!(verdict.sentence.starts_with("B takes "), "{}", verdict.sentence);
    assert_eq!(holds(&verdict), [None; 4]);
}

#[test]
fn a_window_that_limits_and_a_request_that_waits_are_seen() {
    let mut long = evidence(10);
    long.sides[1].request_bytes = 64_000;
    let verdict = judge(&long, 0.95);
    assert!(cause(&verdict, "windows").evidence.contains("they did not fit"));
    assert_eq!(verdict.claims[0].holds, Some(true));
    let mut waiting = evidence(100);
    let windows = waiting.sides[1].windows.as_mut().unwrap();
    windows.min_rtt = Some(microseconds(1));
    windows.limited_by_peer = microseconds(70);
    let verdict = judge(&waiting, 0.95);
    assert_eq!(verdict.claims[1].holds, Some(true));
    assert!(cause(&verdict, "windows").evidence.contains("70.0 µs"));
}

#[test]
fn a_stall_is_told_from_a_round_trip() {
    let mut evidence = evidence(10);
    let mut cut = |splits_character, held| {
        let mut two = TwoWrites { splits_character, ..TwoWrites::default() };
        two.without_nagle.add(microseconds(100));
        two.with_nagle.add(held);
        evidence.sides[1].two_writes.push(two);
    };
    cut(false, microseconds(200));
    cut(true, Duration::from_millis(44));
    let told = cause(&judge(&evidence, 0.95), "nagle-and-delayed-acknowledgement");
    assert_eq!(told.evidence.matches("the stall").count(), 1, "{told:?}");
    assert!(told.evidence.contains("200.0 µs without; the second waits for the first's answer"));
    assert!(told.evidence.contains("44.000 ms without; the second waits for an acknowledgement"));
    assert_eq!(told.share, Some(0));
}

#[test]
fn on_a_long_path_a_round_trip_more_is_no_stall() {
    let mut evidence = evidence(10);
    let mut two = TwoWrites::default();
    two.without_nagle.add(Duration::from_millis(20));
    two.with_nagle.add(Duration::from_millis(41));
    evidence.sides[1].two_writes.push(two);
    let told = cause(&judge(&evidence, 0.95), "nagle-and-delayed-acknowledgement");
    assert!(told.evidence.contains("a round trip, no stall"), "{told:?}");
    evidence.sides[1].two_writes[0] =
        TwoWrites { failure: Some("the server closes".into()), ..TwoWrites::default() };
    let told = cause(&judge(&evidence, 0.95), "nagle-and-delayed-acknowledgement");
    assert_eq!(told.share, None, "{told:?}");
}

#[test]
fn of_a_request_in_many_segments_nobody_can_say_that_it_waited() {
    let mut long = evidence(10);
    long.sides[1].request_bytes = 10_000;
    long.sides[1].windows.as_mut().unwrap().min_rtt = Some(microseconds(1));
    let verdict = judge(&long, 0.95);
    assert_eq!(verdict.claims[1].holds, None, "{:?}", verdict.claims);
    assert_eq!(cause(&verdict, "acknowledgements").share, None);
}

#[test]
fn an_interrupted_run_says_so_of_what_it_did_not_come_to() {
    let mut interrupted = Evidence { interrupted: true, ..evidence(10) };
    interrupted.pairs_with_connection.clear();
    for side in &mut interrupted.sides {
        (side.instrumented, side.with_connection) = (None, None);
    }
    let verdict = judge(&interrupted, 0.95);
    for name in ["breakdown", "handshake", "nagle-and-delayed-acknowledgement"] {
        assert_eq!(cause(&verdict, name).evidence, "not measured: the run was interrupted");
    }
    assert!(verdict.notes.iter().any(|note| note.starts_with("Interrupted")), "{verdict:?}");
}

#[test]
fn where_sizes_part_is_told_only_where_it_was_seen() {
    let size = |bytes, longer, count| SweepPoint { bytes, pairs: pairs(longer)[..count].to_vec() };
    let told = |sizes| {
        let sizes = Evidence { sweep: sizes, ..evidence(10) };
        cause(&judge(&sizes, 0.95), "payload-size").evidence
    };
    let parting = told(vec![size(16, 10, 200), size(64, 10, 200), size(1024, 90, 200)]);
    assert!(parting.contains("from 1,024 bytes on it is another (95 % sure)"), "{parting}");
    let back = told(vec![size(16, 10, 200), size(64, 90, 200), size(1024, 10, 200)]);
    assert!(back.contains("the same at every size"), "{back}");
    let few = told(vec![size(16, 10, 3), size(64, 90, 3)]);
    assert!(few.contains("too few pairs of each size"), "{few}");
}

#[test]
fn losses_bias_the_answer_and_are_named() {
    let mut lossy = evidence(10);
    lossy.sides[0].summary.received = 480;
    lossy.sides[0].summary.lost = 20;
    lossy.incomplete.push(IncompleteExperiment {
        name: "new connections".into(),
        pairs_without_reply: 3,
        pairs: 100,
    });
    lossy.sides[1].summary.tcp.as_mut().unwrap().retransmissions = Some(3);
    let verdict = judge(&lossy, 0.95);
    assert!(!verdict.all_answered);
    assert!(verdict.notes[0].contains("20 of 500 exchanges with UDP"), "{:?}", verdict.notes);
    assert!(verdict.notes[1].contains("3 of TCP's segments"), "{:?}", verdict.notes);
    assert!(verdict.notes[2].contains("new connections, 3 of 100 pairs"), "{:?}", verdict.notes);
}

#[test]
fn without_an_answer_there_is_no_verdict() {
    let mut nothing = Evidence { sides: evidence(0).sides, ..Evidence::default() };
    nothing.sides[1].failure = Some(Failure::new(Condition::Refused, Duration::ZERO));
    let verdict = judge(&nothing, 0.95);
    assert_eq!(verdict.sentence, "No verdict: TCP tcp://h:1: refused.");
    assert_eq!((verdict.difference, verdict.difference_with_connection), (None, None));
    assert!(verdict.causes.is_empty() && verdict.claims.is_empty(), "{verdict:?}");
    let mut long_waves = evidence(0);
    for (place, pair) in long_waves.pairs.iter_mut().enumerate() {
        let slow = if place < 250 { 1000 } else { 0 };
        pair.b = pair.b.map(|time| time + microseconds(slow));
    }
    let verdict = judge(&long_waves, 0.95);
    assert!(verdict.sentence.starts_with("No "), "{}", verdict.sentence);
    let few = Evidence { pairs: pairs(10)[..5].to_vec(), ..evidence(10) };
    let verdict = judge(&few, 0.95);
    assert!(verdict.sentence.starts_with("No verdict from 5 pairs: 95 % take "));
}
