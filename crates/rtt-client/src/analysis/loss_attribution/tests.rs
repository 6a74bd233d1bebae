//! Tests of the attribution, with a simulated path and server.

use super::*;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

mod uncertain;

/// The fate of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Reply,
    Lost(LossPlace),
    Late,
    Corrupt,
    RouterError,
}

/// A server and the two queues, with their counts.
struct Path {
    attribution: LossAttribution,
    number: u64,
    counts: FlowCounts,
    receive_drops: u64,
    reports_receive_drops: bool,
}

impl Path {
    fn new() -> Self {
        let id = NonZeroU32::new(7).unwrap();
        let counts = FlowCounts { id, queue_drops: Some(0), ..FlowCounts::default() };
        let mut attribution = LossAttribution::default();
        attribution.channel_opened(1);
        Self { attribution, number: 0, counts, receive_drops: 0, reports_receive_drops: true }
    }

    fn request(&mut self, fate: Fate) {
        self.number += 1;
        self.request_number(self.number, fate);
    }

    /// Simulates one exchange.
    fn request_number(&mut self, number: u64, fate: Fate) {
        let Self { attribution, counts, receive_drops, .. } = self;
        let reaches_program = match fate {
            Fate::Lost(LossPlace::SendQueue | LossPlace::There) | Fate::RouterError => false,
            Fate::Lost(LossPlace::ServerQueue) => {
                *counts.queue_drops.get_or_insert(0) += 1;
                false
            }
            _ => true,
        };
        if reaches_program {
            counts.received += 1;
            if fate == Fate::Lost(LossPlace::ServerLimit) {
                counts.refused_rate += 1;
            } else {
                counts.sent += 1;
            }
        }
        let drops = self.reports_receive_drops.then_some(*receive_drops);
        match fate {
            Fate::Reply => attribution.answered(number, *counts, drops),
            Fate::Late => {
                attribution.expired(number);
                attribution.late();
                attribution.answered(number, *counts, drops);
            }
            Fate::Corrupt => attribution.corrupt(number),
            Fate::RouterError => attribution.failed(number, Some(LossPlace::There), None),
            Fate::Lost(LossPlace::SendQueue) => {
                attribution.not_sent(number, Some(LossPlace::SendQueue), None);
            }
            Fate::Lost(place) => {
                *receive_drops += u64::from(place == LossPlace::ReceiveQueue);
                attribution.expired(number);
            }
        }
    }

    fn finish(self) -> LossCounts {
        self.attribution.finish(Some(drops(self.receive_drops)))
    }
}

fn drops(total: u64) -> ReceiveDrops {
    ReceiveDrops { total, with_wrong_checksum: 0 }
}

fn by_place(losses: &LossCounts) -> BTreeMap<LossPlace, u64> {
    losses.places().collect()
}

fn counts(expected: &[(LossPlace, u64)]) -> BTreeMap<LossPlace, u64> {
    expected.iter().copied().collect()
}

/// The places that a server of this project and this host can distinguish.
const PLACES: [LossPlace; 6] = [
    LossPlace::SendQueue,
    LossPlace::There,
    LossPlace::ServerQueue,
    LossPlace::ServerLimit,
    LossPlace::Back,
    LossPlace::ReceiveQueue,
];

#[test]
fn each_of_six_places_is_counted_exactly_in_any_mixture() {
    let mut random = Rng::with_seed(3);
    for run in 0..300 {
        let mut path = Path::new();
        let mut expected = BTreeMap::new();
        for _ in 0..random.u64(2..400) {
            let fate = match random.u8(0..12) {
                0..=5 => Fate::Lost(PLACES[random.usize(0..6)]),
                6 => Fate::Late,
                7 => Fate::Corrupt,
                8 => Fate::RouterError,
                _ => Fate::Reply,
            };
            let place = match fate {
                Fate::Lost(place) => Some(place),
                Fate::Late => Some(LossPlace::Unknown),
                Fate::RouterError => Some(LossPlace::There),
                Fate::Corrupt | Fate::Reply => None,
            };
            if let Some(place) = place {
                *expected.entry(place).or_insert(0) += 1;
            }
            path.request(fate);
        }
        path.request(Fate::Reply);
        let result = path.finish();
        assert_eq!(by_place(&result), expected, "run {run}");
        assert_eq!(result.ranges().count(), 0, "run {run}");
        assert_eq!(result.refused_rate, result.at(LossPlace::ServerLimit));
    }
}

#[test]
fn losses_after_the_last_reply_are_unknown_except_in_this_host() {
    let mut path = Path::new();
    path.request(Fate::Reply);
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::Back));
    path.request(Fate::Lost(LossPlace::ReceiveQueue));
    path.request(Fate::Lost(LossPlace::SendQueue));
    let expected =
        [(LossPlace::SendQueue, 1), (LossPlace::ReceiveQueue, 1), (LossPlace::Unknown, 2)];
    assert_eq!(by_place(&path.finish()), counts(&expected));
}

#[test]
fn server_without_counts_leaves_the_places_outside_this_host_unknown() {
    let mut attribution = LossAttribution::default();
    for number in 1..=10 {
        attribution.expired(number);
    }
    attribution.not_sent(11, Some(LossPlace::SendQueue), None);
    let expected =
        [(LossPlace::SendQueue, 1), (LossPlace::ReceiveQueue, 3), (LossPlace::Unknown, 7)];
    assert_eq!(by_place(&attribution.finish(Some(drops(3)))), counts(&expected));
    assert_eq!(LossAttribution::default().finish(None), LossCounts::default());
}

#[test]
fn reordered_requests_and_replies_do_not_change_the_result() {
    let mut random = Rng::with_seed(5);
    for run in 0..300 {
        // Each request has a time of arrival at the server and, if it is answered, a time of arrival of the reply.
        let count = random.u64(20..300);
        let mut server = FlowCounts { queue_drops: Some(0), ..FlowCounts::default() };
        let mut arrivals: Vec<(u64, u64)> =
            (1..=count).map(|number| (number * 10 + random.u64(0..60), number)).collect();
        arrivals.sort_unstable();
        let mut expected = BTreeMap::new();
        let mut lost = Vec::new();
        let mut replies = Vec::new();
        for (time, number) in arrivals {
            // The last requests are answered, so all losses have evidence.
            let fate = if number + 10 > count { 9 } else { random.u8(0..10) };
            let place = match fate {
                0 => LossPlace::There,
                1 => LossPlace::ServerLimit,
                2 => LossPlace::Back,
                _ => LossPlace::Unknown,
            };
            if place != LossPlace::There {
                server.received += 1;
                server.refused_rate += u32::from(place == LossPlace::ServerLimit);
                server.sent += u32::from(place != LossPlace::ServerLimit);
            }
            if place == LossPlace::Unknown {
                replies.push((time + random.u64(0..60), number, server));
            } else {
                *expected.entry(place).or_insert(0) += 1;
                lost.push(number);
            }
        }
        replies.sort_unstable_by_key(|(time, ..)| *time);
        let mut attribution = LossAttribution::default();
        for (_, number, counts) in replies {
            attribution.answered(number, counts, Some(0));
        }
        for number in lost {
            let place = attribution.expired(number);
            assert_ne!(place, Some(LossPlace::ReceiveQueue));
        }
        assert_eq!(by_place(&attribution.finish(Some(drops(0)))), expected, "run {run}");
    }
}

#[test]
fn place_of_a_single_exchange_is_known_if_its_gap_has_only_one_place() {
    for place in &PLACES[1..] {
        let mut path = Path::new();
        path.request(Fate::Reply);
        let mut later = Vec::new();
        for _ in 0..3 {
            path.number += 1;
            later.push(path.number);
            let before = path.attribution.lost;
            path.request_number(path.number, Fate::Lost(*place));
            path.attribution.lost = before;
        }
        path.request(Fate::Reply);
        for number in later {
            assert_eq!(path.attribution.expired(number), Some(*place), "{place}");
        }
    }
    let mut path = Path::new();
    path.request(Fate::Reply);
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::Back));
    path.request(Fate::Reply);
    assert_eq!(path.attribution.expired(2), None, "two places");
    assert_eq!(path.attribution.expired(4), None, "not in a gap");
}

#[test]
fn counts_that_start_again_are_used_after_the_first_new_reply() {
    let mut path = Path::new();
    for _ in 0..5 {
        path.request(Fate::Reply);
    }
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Reply);
    // The server restarts. It is unknown which of these requests the old server received.
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::Back));
    path.counts = FlowCounts {
        id: NonZeroU32::new(8).unwrap(),
        queue_drops: Some(0),
        ..FlowCounts::default()
    };
    path.request(Fate::Reply);
    path.request(Fate::Lost(LossPlace::Back));
    path.request(Fate::Reply);
    let expected = [(LossPlace::There, 1), (LossPlace::Back, 1), (LossPlace::Unknown, 2)];
    assert_eq!(by_place(&path.finish()), counts(&expected));
}

#[test]
fn new_channel_starts_a_flow_whose_first_losses_have_evidence() {
    let mut path = Path::new();
    path.request(Fate::Reply);
    path.request(Fate::Lost(LossPlace::Back));
    path.counts = FlowCounts {
        id: NonZeroU32::new(8).unwrap(),
        queue_drops: Some(0),
        ..FlowCounts::default()
    };
    path.attribution.channel_opened(3);
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::Back));
    path.request(Fate::Reply);
    let expected = [(LossPlace::There, 1), (LossPlace::Back, 1), (LossPlace::Unknown, 1)];
    assert_eq!(by_place(&path.finish()), counts(&expected));
}

#[test]
fn total_drops_are_used_if_the_system_does_not_report_them_with_each_reply() {
    let mut path = Path::new();
    path.reports_receive_drops = false;
    path.request(Fate::Reply);
    path.request(Fate::Lost(LossPlace::Back));
    path.request(Fate::Lost(LossPlace::ReceiveQueue));
    path.request(Fate::Reply);
    let expected = [(LossPlace::Back, 1), (LossPlace::ReceiveQueue, 1)];
    assert_eq!(by_place(&path.finish()), counts(&expected));
}

#[test]
fn counters_that_wrap_are_no_fault() {
    let mut path = Path::new();
    path.counts.received = u32::MAX - 2;
    path.counts.sent = u32::MAX - 2;
    path.attribution.segments.push(Segment {
        flow: path.counts.id,
        start: Point { number: 0, counts: path.counts, receive_drops: Some(0) },
        end: Point { number: 0, counts: path.counts, receive_drops: Some(0) },
        latest: path.counts,
        answered: 0,
        has_impossible_counts: false,
    });
    let wrapped = |counts: FlowCounts, sent: u32, received: u32| FlowCounts {
        received: counts.received.wrapping_add(received),
        sent: counts.sent.wrapping_add(sent),
        ..counts
    };
    path.attribution.answered(1, wrapped(path.counts, 1, 1), Some(0));
    path.attribution.expired(2);
    path.attribution.expired(3);
    path.attribution.answered(6, wrapped(path.counts, 4, 5), Some(0));
    path.attribution.answered(4, wrapped(path.counts, 3, 3), Some(0));
    path.attribution.answered(5, wrapped(path.counts, 4, 4), Some(0));
    let expected = [(LossPlace::There, 1), (LossPlace::Back, 1)];
    assert_eq!(by_place(&path.finish()), counts(&expected));
}
