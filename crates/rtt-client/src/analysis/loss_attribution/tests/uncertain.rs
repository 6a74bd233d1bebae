//! Tests of the attribution with uncertain and impossible counts.

use super::*;

#[test]
fn drops_of_other_peers_make_the_place_uncertain() {
    let mut path = Path::new();
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::There));
    path.counts.queue_drops = Some(5);
    path.request(Fate::Lost(LossPlace::Back));
    path.request(Fate::Reply);
    let result = path.finish();
    assert_eq!(by_place(&result), counts(&[(LossPlace::Back, 1), (LossPlace::Unknown, 2)]));
    let range = LossRange { low: 0, high: 2 };
    let expected = [(LossPlace::There, range), (LossPlace::ServerQueue, range)];
    assert_eq!(result.ranges().collect::<Vec<_>>(), expected);
}

#[test]
fn drops_that_can_belong_to_other_peers_make_the_place_uncertain() {
    let mut path = Path::new();
    path.request(Fate::Reply);
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::ServerQueue));
    path.counts.has_foreign_drops = true;
    path.request(Fate::Reply);
    let result = path.finish();
    let expected = [(LossPlace::There, 2), (LossPlace::Unknown, 1)];
    assert_eq!(by_place(&result), counts(&expected));
    let range = |low, high| LossRange { low, high };
    let expected = [(LossPlace::There, range(2, 3)), (LossPlace::ServerQueue, range(0, 1))];
    assert_eq!(result.ranges().collect::<Vec<_>>(), expected);
}

#[test]
fn drops_with_a_wrong_checksum_can_be_losses_on_the_way_back() {
    let mut path = Path::new();
    path.request(Fate::Lost(LossPlace::ReceiveQueue));
    path.request(Fate::Lost(LossPlace::ReceiveQueue));
    path.request(Fate::Lost(LossPlace::Back));
    path.request(Fate::Reply);
    let drops = ReceiveDrops { total: 2, with_wrong_checksum: 1 };
    let result = path.attribution.finish(Some(drops));
    let expected = [(LossPlace::Back, 1), (LossPlace::ReceiveQueue, 1), (LossPlace::Unknown, 1)];
    assert_eq!(by_place(&result), counts(&expected));
    let range = LossRange { low: 1, high: 2 };
    let expected = [(LossPlace::Back, range), (LossPlace::ReceiveQueue, range)];
    assert_eq!(result.ranges().collect::<Vec<_>>(), expected);
}

#[test]
fn requests_that_the_server_could_not_count_are_no_evidence() {
    let mut path = Path::new();
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::Back));
    path.counts.has_uncounted_requests = true;
    path.request(Fate::Reply);
    assert_eq!(by_place(&path.finish()), counts(&[(LossPlace::Unknown, 2)]));
}

#[test]
fn place_is_uncertain_if_the_server_does_not_know_the_drops_of_its_queue() {
    let mut path = Path::new();
    path.counts.queue_drops = None;
    path.request(Fate::Reply);
    path.request(Fate::Lost(LossPlace::There));
    path.request(Fate::Lost(LossPlace::ServerLimit));
    path.request(Fate::Reply);
    let result = path.finish();
    let expected = [(LossPlace::ServerLimit, 1), (LossPlace::Unknown, 1)];
    assert_eq!(by_place(&result), counts(&expected));
    assert_eq!(result.ranges().count(), 2);
}

#[test]
fn impossible_counts_are_no_evidence() {
    let base = FlowCounts { received: 4, sent: 4, ..FlowCounts::default() };
    let lies = [
        ("a count that falls", FlowCounts { received: 0, ..base }),
        ("another count that falls", FlowCounts { queue_drops: Some(2), ..base }),
        ("more received than sent", FlowCounts { received: 9, ..base }),
        ("more refused than sent", FlowCounts { received: 5, refused_rate: 9, ..base }),
        ("fewer received than answered", FlowCounts { received: 1, ..base }),
    ];
    for (name, lie) in lies {
        let mut attribution = LossAttribution::default();
        let first =
            FlowCounts { received: 1, sent: 1, queue_drops: Some(5), ..FlowCounts::default() };
        attribution.answered(1, first, Some(0));
        attribution.expired(2);
        attribution.expired(3);
        attribution.answered(4, FlowCounts { sent: 2, ..lie }, Some(0));
        assert_eq!(
            by_place(&attribution.finish(Some(drops(0)))),
            counts(&[(LossPlace::Unknown, 2)]),
            "{name}"
        );
    }
}
