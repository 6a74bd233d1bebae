//! Tests: the order and the times of the attempts, and their number.

use super::*;
use crate::net::resolve::MAX_ADDRESSES;
use std::sync::Mutex;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A long time, if another result is expected first.
const LONG: Duration = Duration::from_mins(1);

/// The behaviour of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// The attempt succeeds after this time.
    Answers(Duration),
    /// The attempt fails after this time.
    Fails(Duration),
    /// The attempt fails at the timeout.
    Silent,
}
use Peer::{Answers, Fails, Silent};

/// The timeout of an attempt.
const TIMEOUT: Duration = Duration::from_millis(400);

fn rules() -> Rules<'static> {
    Rules { schedule: Schedule::Overlapping, last: LastCandidate::Try, stop: &NEVER }
}

/// Waits for this time, or until the attempt is cancelled. Returns whether it was complete.
fn wait(duration: Duration, cancel: &AtomicBool) -> bool {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        if cancel.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Runs a race. Returns its result and the start of each attempt.
fn run(peers: &[Peer], rules: Rules<'_>) -> (RaceResult<()>, Vec<Duration>) {
    let starts = Mutex::new(Vec::new());
    let begin = Instant::now();
    let result = race(peers, rules, |peer, cancel| {
        starts.lock().unwrap().push(begin.elapsed());
        let (succeeds, after) = match *peer {
            Answers(after) => (true, after),
            Fails(after) => (false, after),
            Silent => (false, TIMEOUT),
        };
        let is_complete = wait(after, cancel);
        Attempt { succeeded: succeeds && is_complete, value: () }
    });
    (result, starts.into_inner().unwrap())
}

fn winner(result: &RaceResult<()>) -> Option<(usize, bool)> {
    result.winner.as_ref().map(|winner| (winner.index, winner.was_alone))
}

/// The losers: the index of each, and whether it was cancelled.
fn losers(result: &RaceResult<()>) -> Vec<(usize, bool)> {
    result.losers.iter().map(|loser| (loser.index, loser.is_cancelled)).collect()
}

#[test]
fn first_address_that_answers_soon_is_the_only_attempt() {
    let (result, starts) = run(&[Answers(Duration::ZERO), Answers(Duration::ZERO)], rules());
    assert_eq!((winner(&result), losers(&result)), (Some((0, true)), vec![]));
    assert_eq!(starts.len(), 1);
}

#[test]
fn silent_address_delays_the_next_one_by_the_attempt_delay() {
    let (result, starts) = run(&[Silent, Answers(Duration::ZERO)], rules());
    assert_eq!((winner(&result), losers(&result)), (Some((1, false)), vec![(0, true)]));
    assert!(starts[1] >= ATTEMPT_DELAY && starts[1] < LONG, "{starts:?}");
}

#[test]
fn failure_starts_the_next_attempt_at_once() {
    let begin = Instant::now();
    let failed = vec![Fails(Duration::ZERO); 40];
    let (result, starts) = run(&[&failed[..], &[Answers(Duration::ZERO)]].concat(), rules());
    // The winner started after the end of all other attempts.
    assert_eq!(winner(&result), Some((40, true)));
    assert_eq!((losers(&result).len(), starts.len()), (40, 41));
    // With the delay, the last attempt would start after 10 s.
    assert!(begin.elapsed() < 20 * ATTEMPT_DELAY, "{:?}", begin.elapsed());
}

#[test]
fn slow_first_address_can_win_after_the_start_of_the_next_one() {
    let (result, starts) = run(&[Answers(ATTEMPT_DELAY * 3 / 2), Silent], rules());
    assert_eq!((winner(&result), losers(&result)), (Some((0, false)), vec![(1, true)]));
    assert_eq!(starts.len(), 2);
}

#[test]
fn race_without_an_answer_has_a_limited_duration() {
    let peers = [Silent; MAX_ADDRESSES];
    let begin = Instant::now();
    let (result, starts) = run(&peers, rules());
    let elapsed = begin.elapsed();
    assert_eq!((winner(&result), starts.len()), (None, MAX_ADDRESSES));
    assert!(losers(&result).iter().all(|(_, is_cancelled)| !is_cancelled));
    let documented = TIMEOUT + ATTEMPT_DELAY * u32::try_from(MAX_ADDRESSES - 1).unwrap();
    // One after the other, the attempts would take 6.4 s. A slow machine adds some time.
    assert!(elapsed < documented + Duration::from_secs(2), "{elapsed:?}");
}

#[test]
fn attempts_with_one_local_port_run_one_after_another_for_a_limited_time() {
    let limit = Duration::from_millis(120);
    let rules = Rules { schedule: Schedule::OneAfterAnother(limit), ..rules() };
    let running = AtomicBool::new(false);
    let result = race(&[Silent, Silent, Answers(Duration::ZERO)], rules, |peer, cancel| {
        assert!(!running.swap(true, Ordering::SeqCst), "another attempt is running");
        let succeeded = *peer != Silent;
        let is_complete = wait(if succeeded { Duration::ZERO } else { LONG }, cancel);
        running.store(false, Ordering::SeqCst);
        Attempt { succeeded: succeeded && is_complete, value: () }
    });
    assert_eq!((winner(&result), losers(&result)), (Some((2, true)), vec![(0, true), (1, true)]));
}

#[test]
fn last_address_is_not_tried_if_all_others_have_failed() {
    let rules = Rules { last: LastCandidate::Skip, ..rules() };
    let (result, starts) = run(&[Fails(Duration::ZERO), Answers(Duration::ZERO)], rules);
    assert_eq!((winner(&result), losers(&result)), (None, vec![(0, false)]));
    assert_eq!(starts.len(), 1);
    // While another attempt runs, the last address takes part in the race.
    let (result, _) = run(&[Silent, Answers(Duration::ZERO)], rules);
    assert_eq!(winner(&result), Some((1, false)));
}

#[test]
fn user_interrupts_a_race() {
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            stop.store(true, Ordering::Relaxed);
        });
        race(&[(), ()], Rules { stop: &stop, ..rules() }, |(), cancel| Attempt {
            succeeded: wait(LONG, cancel),
            value: (),
        })
    });
    assert_eq!((winner(&result), losers(&result)), (None, vec![(0, true)]));
    assert!(begin.elapsed() < LONG);
}
