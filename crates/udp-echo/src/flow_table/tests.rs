//! Tests of the flow table.

use super::*;

fn request(port: u16, number: u64, now: Instant) -> FlowRequest {
    let peer = SocketAddr::from(([192, 0, 2, 1], port));
    FlowRequest { peer, run: 1, number, received_at: now, queue: QueueState::default() }
}

#[test]
fn each_flow_has_its_own_counts() {
    let (mut table, now) = (FlowTable::default(), Instant::now());
    for number in 1..=3 {
        table.answered(request(5000, number, now)).unwrap();
    }
    table.refused(request(5000, 4, now), RefusalReason::Rate);
    table.refused(request(5000, 6, now), RefusalReason::List);
    let other = table.answered(request(5001, 1, now)).unwrap();
    assert_eq!((other.received, other.sent, other.refused_rate), (1, 1, 0));
    let counts = table.answered(request(5000, 7, now)).unwrap();
    assert_eq!((counts.received, counts.sent), (6, 4));
    assert_eq!((counts.refused_rate, counts.refused_list), (1, 1));
    assert_ne!(counts.id, other.id);
}

#[test]
fn duplicates_and_reordered_requests_count_once() {
    let (mut table, now) = (FlowTable::default(), Instant::now());
    for (number, received, has_uncounted) in [
        (1, 1, false),
        (1, 1, false),
        (3, 2, false),
        (2, 3, false),
        (2, 3, false),
        (3, 3, false),
        (1026, 4, false),
        (4, 5, false),
        (3, 5, false),
        // Too old to be distinguished from a duplicate.
        (2, 5, true),
        (5000, 6, true),
        (4999, 7, true),
        (u64::MAX, 8, true),
        (0, 8, true),
        (u64::MAX, 8, true),
    ] {
        let counts = table.answered(request(5000, number, now)).unwrap();
        let actual = (counts.received, counts.has_uncounted_requests);
        assert_eq!(actual, (received, has_uncounted), "{number}");
    }
}

#[test]
fn refusal_does_not_count_if_a_duplicate_of_the_request_is_answered() {
    let (mut table, now) = (FlowTable::default(), Instant::now());
    table.refused(request(5000, 1, now), RefusalReason::Rate);
    table.refused(request(5000, 2, now), RefusalReason::Rate);
    let counts = table.answered(request(5000, 1, now)).unwrap();
    assert_eq!((counts.received, counts.sent, counts.refused_rate), (2, 1, 1));
    let counts = table.answered(request(5000, 1, now)).unwrap();
    assert_eq!((counts.received, counts.sent, counts.refused_rate), (2, 2, 1));
}

#[test]
fn counts_start_again_if_another_run_uses_the_same_port() {
    let (mut table, now) = (FlowTable::default(), Instant::now());
    let first = table.answered(request(5000, 100, now)).unwrap();
    let other_run = FlowRequest { run: 2, ..request(5000, 1, now) };
    table.refused(other_run, RefusalReason::List);
    assert_eq!(table.answered(request(5000, 101, now)).unwrap().received, 2);
    let second = table.answered(other_run).unwrap();
    assert_eq!(second.received, 1);
    assert_ne!(first.id, second.id);
}

fn with_queue(number: u64, queue: QueueState) -> FlowRequest {
    FlowRequest { queue, ..request(5000, number, Instant::now()) }
}

#[test]
fn drops_count_from_the_datagram_before_the_first_request() {
    let mut table = FlowTable::default();
    let queue = |drops_before, drops| QueueState {
        drops_before,
        drops: Some(drops),
        ..QueueState::default()
    };
    assert_eq!(table.answered(with_queue(1, queue(40, 45))).unwrap().queue_drops, Some(5));
    let counts = table.answered(with_queue(2, queue(45, 47))).unwrap();
    assert_eq!((counts.queue_drops, counts.has_foreign_drops), (Some(7), false));
    // The kernel's counter has 32 bits and wraps.
    let mut table = FlowTable::default();
    let counts = table.answered(with_queue(1, queue(u32::MAX, 1))).unwrap();
    assert_eq!(counts.queue_drops, Some(2));
    let unknown = table.answered(with_queue(2, QueueState::default())).unwrap();
    assert_eq!(unknown.queue_drops, None);
}

#[test]
fn drops_after_a_datagram_of_another_peer_are_uncertain() {
    let mut table = FlowTable::default();
    let queue = |drops, peer_changes| QueueState {
        drops: Some(drops),
        peer_changes,
        ..QueueState::default()
    };
    let mut is_uncertain =
        |number, queue| table.answered(with_queue(number, queue)).unwrap().has_foreign_drops;
    assert!(!is_uncertain(1, queue(0, 5)));
    assert!(!is_uncertain(2, queue(30, 5)), "only this peer has sent datagrams");
    assert!(!is_uncertain(3, queue(30, 7)), "no drops since another peer sent datagrams");
    assert!(is_uncertain(4, queue(31, 7)));
    assert!(is_uncertain(5, queue(31, 7)), "the sum stays uncertain");
}

#[test]
fn drops_are_uncertain_if_datagrams_had_a_wrong_checksum() {
    let mut table = FlowTable::default();
    let queue = |drops, checksum_errors| QueueState {
        drops: Some(drops),
        checksum_errors,
        ..QueueState::default()
    };
    let mut is_uncertain =
        |number, queue| table.answered(with_queue(number, queue)).unwrap().has_foreign_drops;
    assert!(!is_uncertain(1, queue(0, 70)));
    assert!(!is_uncertain(2, queue(5, 70)));
    assert!(!is_uncertain(3, queue(5, 70)));
    assert!(is_uncertain(4, queue(6, 71)));
}

#[test]
fn flood_of_forged_sources_does_not_replace_an_active_flow() {
    let (mut table, start) = (FlowTable::default(), Instant::now());
    let mut honest = 0;
    for step in 0..100_u32 {
        let now = start + Duration::from_millis(100) * step;
        honest += 1;
        assert_eq!(table.answered(request(4000, honest, now)).unwrap().received, step + 1);
        // This flow is idle for 4.9 s between its requests.
        if step % 49 == 0 {
            let request = request(4001, u64::from(step + 1), now);
            assert_eq!(table.answered(request).unwrap().received, step / 49 + 1);
        }
        for port in 10_000..11_000 {
            let peer = SocketAddr::from(([198, 51, 100, (step % 250) as u8], port));
            table.answered(FlowRequest { peer, ..request(0, 1, now) });
        }
    }
    assert_eq!(table.sets.len(), SETS);
    assert_eq!(SETS * WAYS, 2048);
    assert_eq!(MIN_IDLE, Duration::from_secs(5));
}

#[test]
fn idle_flow_is_replaced_and_its_counts_start_again() {
    let (mut table, start) = (FlowTable::default(), Instant::now());
    let first = table.answered(request(4000, 1, start)).unwrap();
    let later = start + MIN_IDLE;
    // The sets of the flows are random. On average, each set gets 80 new flows, so each set is full afterwards.
    let ports = 10_000..10_000 + u16::try_from(80 * SETS).unwrap();
    let created = ports.filter(|port| table.answered(request(*port, 1, later)).is_some()).count();
    assert_eq!(created, SETS * WAYS);
    let again = table.answered(request(4000, 2, later + MIN_IDLE)).unwrap();
    assert_eq!(again.received, 1);
    assert_ne!(first.id, again.id);
}
