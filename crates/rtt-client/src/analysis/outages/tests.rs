//! Tests of the outage detector: single cases, and a comparison with a simple model.

use super::*;
use proptest::prelude::*;

const SILENT: Option<Condition> = Some(Condition::Silent);
const REFUSED: Option<Condition> = Some(Condition::Refused);
const WRONG: Option<Condition> = Some(Condition::WrongAnswer);
const REPLY: Option<Condition> = None;

/// The time between two requests.
const INTERVAL: Duration = Duration::from_millis(100);

/// The outcome of a request, with its number.
type Decision = (u64, Option<Condition>);

/// Adds the outcomes in this order. Request `n` is sent `n` intervals after the start. The run ends one interval after the
/// last request.
fn detect(counts_without_reply: bool, decisions: &[Decision]) -> (Stamp, Outages) {
    let start = Stamp::just_before();
    let mut detector = OutageDetector::new(counts_without_reply);
    let mut outages = Outages::default();
    for (seq, failure) in decisions {
        detector.add(*seq, sent(start, *seq), *failure, &mut outages);
    }
    let end = sent(start, decisions.len() as u64 + 1);
    detector.finish(end.monotonic(), &mut outages);
    (start, outages)
}

fn sent(start: Stamp, seq: u64) -> Stamp {
    start.later(INTERVAL * u32::try_from(seq).unwrap())
}

/// The outcomes with their numbers, in the order of the requests.
fn numbered(outcomes: &[Option<Condition>]) -> Vec<Decision> {
    (1..).zip(outcomes.iter().copied()).collect()
}

/// An outage as numbers of requests: the first one, the first one with a reply again, their number, and the conditions.
type Numbers = (u64, Option<u64>, u64, Vec<Condition>);

fn in_numbers(start: Stamp, outage: &Outage) -> Numbers {
    let number = |stamp: Stamp| {
        u64::try_from(stamp.since(&start).as_millis() / INTERVAL.as_millis()).unwrap()
    };
    let to = outage.to.map(number);
    (number(outage.from), to, outage.requests, outage.conditions.clone())
}

fn detected(outcomes: &[Option<Condition>]) -> Vec<Numbers> {
    let (start, outages) = detect(false, &numbered(outcomes));
    outages.first.iter().map(|outage| in_numbers(start, outage)).collect()
}

#[test]
fn one_error_is_an_outage_only_if_the_absence_of_the_server_explains_it() {
    for (condition, expected) in [
        (Condition::Refused, 1),
        (Condition::HostUnreachable, 1),
        (Condition::NoRoute, 1),
        (Condition::NameNotFound, 1),
        (Condition::Closed, 1),
        (Condition::Reset, 1),
        (Condition::NameLookupFailed, 0),
        (Condition::PermissionDenied, 0),
        (Condition::Unsupported, 0),
        (Condition::LocalLimit, 0),
        (Condition::TooBig, 0),
    ] {
        let outages = detected(&[REPLY, Some(condition), REPLY]);
        assert_eq!(outages.len(), expected, "{condition}");
    }
}

#[test]
fn two_lost_requests_are_no_outage_but_three_are() {
    assert_eq!(detected(&[REPLY, SILENT, SILENT, REPLY]), []);
    let outage = (2, Some(5), 3, vec![Condition::Silent]);
    assert_eq!(detected(&[REPLY, SILENT, SILENT, SILENT, REPLY]), [outage]);
}

#[test]
fn one_error_of_the_system_is_an_outage() {
    let outage = (2, Some(3), 1, vec![Condition::Refused]);
    assert_eq!(detected(&[REPLY, REFUSED, REPLY]), [outage]);
    let with_silence = (2, Some(4), 2, vec![Condition::Silent, Condition::Refused]);
    assert_eq!(detected(&[REPLY, SILENT, REFUSED, REPLY]), [with_silence]);
}

#[test]
fn errors_that_another_request_can_avoid_are_no_outage() {
    for condition in
        [Condition::LocalLimit, Condition::TooBig, Condition::OtherAddress, Condition::WrongAnswer]
    {
        assert_eq!(detected(&[REPLY, Some(condition), REPLY]), [], "{condition}");
        assert_eq!(detected(&[REPLY, Some(condition), SILENT, WRONG, REPLY]).len(), 1);
    }
}

#[test]
fn outage_at_the_end_has_no_end_but_a_duration() {
    let (start, outages) = detect(false, &numbered(&[REPLY, REFUSED, REFUSED]));
    assert_eq!(outages.count, 1);
    assert_eq!(in_numbers(start, &outages.first[0]), (2, None, 2, vec![Condition::Refused]));
    assert_eq!(outages.duration, 2 * INTERVAL, "until the end of the run");
}

#[test]
fn run_without_any_reply_is_an_outage_only_if_requested() {
    let decisions = numbered(&[REFUSED; 5]);
    assert_eq!(detect(false, &decisions).1.count, 0);
    assert_eq!(detect(true, &decisions).1.requests, 5);
    assert_eq!(detected(&[REFUSED, REPLY]).len(), 1, "the run has a reply");
}

#[test]
fn outcomes_of_long_runs_need_one_waiting_segment() {
    let start = Stamp::just_before();
    let mut detector = OutageDetector::new(false);
    let mut outages = Outages::default();
    // Request 1 is undecided.
    for seq in 2..100_000 {
        detector.add(seq, sent(start, seq), REPLY, &mut outages);
    }
    assert_eq!(detector.waiting.len(), 1);
    detector.add(1, sent(start, 1), REFUSED, &mut outages);
    assert_eq!((detector.waiting.len(), detector.next), (0, 100_000));
    assert_eq!(outages.count, 1);
}

#[test]
fn memory_for_waiting_outcomes_is_limited() {
    let start = Stamp::just_before();
    let mut detector = OutageDetector::new(false);
    let mut outages = Outages::default();
    let requests = 3 * MAX_WAITING as u64;
    // Request 1 is undecided, and every second request fails.
    for seq in 2..=requests {
        let failure = if seq % 2 == 0 { REFUSED } else { REPLY };
        detector.add(seq, start, failure, &mut outages);
        assert!(detector.waiting.len() <= MAX_WAITING);
    }
    detector.add(1, start, REFUSED, &mut outages);
    detector.finish(start.monotonic(), &mut outages);
    assert_eq!(outages.count, requests / 2, "the outcome of request 1 comes too late");
    assert_eq!(outages.first.len(), MAX_STORED);
    assert_eq!(outages.not_stored(), outages.count - MAX_STORED as u64);
}

/// The outages of a model that has all outcomes in the order of the requests.
fn model(counts_without_reply: bool, outcomes: &[Option<Condition>]) -> Vec<Numbers> {
    let mut expected = Vec::new();
    let mut index = 0;
    while index < outcomes.len() {
        let length = outcomes[index..].iter().take_while(|outcome| outcome.is_some()).count();
        let failed: Vec<Condition> =
            outcomes[index..index + length].iter().flatten().copied().collect();
        let end = index + length;
        let is_error = |condition: &Condition| {
            matches!(condition, Condition::Refused | Condition::Reset | Condition::NoRoute)
        };
        let is_outage = length >= 3 || failed.iter().any(is_error);
        let is_whole_run = length == outcomes.len();
        if length > 0 && is_outage && (!is_whole_run || counts_without_reply) {
            let mut conditions = failed.clone();
            let mut known = Vec::new();
            conditions.retain(|condition| {
                let is_new = !known.contains(condition);
                known.push(*condition);
                is_new
            });
            let to = (end < outcomes.len()).then_some(end as u64 + 1);
            expected.push((index as u64 + 1, to, length as u64, conditions));
        }
        index = end + 1;
    }
    expected
}

fn outcome() -> impl Strategy<Value = Option<Condition>> {
    let conditions = [
        Condition::Silent,
        Condition::Refused,
        Condition::Reset,
        Condition::NoRoute,
        Condition::WrongAnswer,
        Condition::LocalLimit,
    ];
    prop_oneof![3 => Just(None), 2 => prop::sample::select(conditions.to_vec()).prop_map(Some)]
}

proptest! {
    #[test]
    fn outcomes_in_any_order_give_the_outages_of_the_model(
        outcomes in prop::collection::vec(outcome(), 0..60),
        keys in prop::collection::vec(any::<u32>(), 60),
        spread in 0..40_u64,
        counts_without_reply: bool,
    ) {
        let mut decisions = numbered(&outcomes);
        // Each request is decided at most `spread` requests later than in order.
        decisions.sort_by_key(|(seq, _)| {
            let key = u64::from(keys[usize::try_from(*seq).unwrap() - 1]);
            (seq + key % (spread + 1), *seq)
        });
        let (start, outages) = detect(counts_without_reply, &decisions);
        let mut expected = model(counts_without_reply, &outcomes);
        let requests: u64 = expected.iter().map(|(_, _, requests, _)| requests).sum();
        prop_assert_eq!((outages.count, outages.requests), (expected.len() as u64, requests));
        expected.truncate(MAX_STORED);
        let detected: Vec<Numbers> =
            outages.first.iter().map(|outage| in_numbers(start, outage)).collect();
        prop_assert_eq!(detected, expected);
    }
}
