//! Tests: the order and the times of the attempts, and their number.
//!
//! The attempts wait for events, so the results do not depend on the speed of the machine.

use super::*;
use crate::net::resolve::MAX_ADDRESSES;
use std::sync::Mutex;
use std::thread::ThreadId;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A long time, if another event is expected first.
const LONG: Duration = Duration::from_mins(1);

/// A delay that passes in a test.
const SHORT: Duration = Duration::from_millis(20);

/// The behaviour of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// The attempt succeeds as soon as this number of attempts has started.
    Answers(usize),
    /// The attempt fails as soon as this number of attempts has started.
    Fails(usize),
    /// The attempt has no result.
    Silent,
}
use Peer::{Answers, Fails, Silent};

/// Rules with this time between the starts of two attempts.
fn rules(delay: Duration) -> Rules<'static> {
    Rules {
        schedule: Schedule::Overlapping(delay),
        last: LastCandidate::Try,
        max_running: MAX_ADDRESSES,
        stop: &NEVER,
    }
}

/// Waits until the condition is true, or until the attempt is cancelled. Returns whether the condition is true.
fn wait_until(condition: impl Fn() -> bool, cancel: &AtomicBool) -> bool {
    let begin = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if cancel.load(Ordering::Relaxed) {
            return false;
        }
        assert!(begin.elapsed() < LONG, "no event");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The start of an attempt: the time since the start of the race, and the thread.
type Start = (Duration, ThreadId);

/// Runs a race. Returns its result and the start of each attempt.
fn run(peers: &[Peer], rules: Rules<'_>) -> (RaceResult<()>, Vec<Start>) {
    let starts = Mutex::new(Vec::new());
    let begin = Instant::now();
    let result = race(peers, rules, |peer, cancel| {
        starts.lock().unwrap().push((begin.elapsed(), thread::current().id()));
        let (Answers(started) | Fails(started)) = *peer else {
            wait_until(|| false, cancel);
            return Attempt { succeeded: false, value: () };
        };
        let is_complete = wait_until(|| starts.lock().unwrap().len() >= started, cancel);
        Attempt { succeeded: is_complete && matches!(peer, Answers(_)), value: () }
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
    let (result, starts) = run(&[Answers(0), Answers(0)], rules(LONG));
    assert_eq!((winner(&result), losers(&result)), (Some((0, true)), vec![]));
    assert_eq!(starts.len(), 1);
    assert_eq!(starts[0].1, thread::current().id(), "the calling thread makes the attempt");
}

#[test]
fn silent_address_delays_the_next_one_by_the_attempt_delay() {
    let (result, starts) = run(&[Silent, Answers(0)], rules(SHORT));
    assert_eq!((winner(&result), losers(&result)), (Some((1, false)), vec![(0, true)]));
    assert!(starts[1].0 >= SHORT, "{starts:?}");
}

#[test]
fn failure_starts_the_next_attempt_at_once() {
    let peers = [&[Fails(0); 40][..], &[Answers(0)]].concat();
    // With the delay, the second attempt would start after a minute.
    let (result, starts) = run(&peers, rules(LONG));
    assert!(starts[40].0 < LONG, "{starts:?}");
    // The winner started after the end of all other attempts.
    assert_eq!(winner(&result), Some((40, true)));
    assert_eq!((losers(&result).len(), starts.len()), (40, 41));
}

#[test]
fn slow_first_address_can_win_after_the_start_of_the_next_one() {
    let (result, starts) = run(&[Answers(2), Silent], rules(SHORT));
    assert_eq!((winner(&result), losers(&result)), (Some((0, false)), vec![(1, true)]));
    assert_eq!(starts.len(), 2);
}

#[test]
fn attempts_without_an_answer_overlap() {
    // Each attempt fails after the start of the last one.
    let (result, starts) = run(&[Fails(MAX_ADDRESSES); MAX_ADDRESSES], rules(SHORT));
    assert_eq!((winner(&result), starts.len()), (None, MAX_ADDRESSES));
    assert!(losers(&result).iter().all(|(_, is_cancelled)| !is_cancelled));
    let delays = u32::try_from(MAX_ADDRESSES - 1).unwrap();
    assert!(starts[MAX_ADDRESSES - 1].0 >= SHORT * delays, "{starts:?}");
}

#[test]
fn attempts_with_one_local_port_run_one_after_another_for_a_limited_time() {
    let rules = Rules { schedule: Schedule::OneAfterAnother(SHORT), ..rules(LONG) };
    let running = AtomicBool::new(false);
    let result = race(&[Silent, Silent, Answers(0)], rules, |peer, cancel| {
        assert!(!running.swap(true, Ordering::SeqCst), "another attempt is running");
        let succeeded = wait_until(|| *peer != Silent, cancel);
        running.store(false, Ordering::SeqCst);
        Attempt { succeeded, value: () }
    });
    assert_eq!((winner(&result), losers(&result)), (Some((2, true)), vec![(0, true), (1, true)]));
}

#[test]
fn last_address_is_not_tried_if_all_others_have_failed() {
    let skip = |delay| Rules { last: LastCandidate::Skip, ..rules(delay) };
    let (result, starts) = run(&[Fails(0), Answers(0)], skip(LONG));
    assert_eq!((winner(&result), losers(&result)), (None, vec![(0, false)]));
    assert_eq!(starts.len(), 1);
    // While another attempt runs, the last address takes part in the race.
    let (result, _) = run(&[Silent, Answers(0)], skip(SHORT));
    assert_eq!(winner(&result), Some((1, false)));
}

#[test]
fn attempt_without_a_thread_starts_after_the_end_of_the_others() {
    let rules = Rules { max_running: 1, ..rules(Duration::ZERO) };
    let starts = Mutex::new(Vec::new());
    let result = race(&[false, false, true], rules, |succeeded, _| {
        starts.lock().unwrap().push(thread::current().id());
        let started = starts.lock().unwrap().len();
        // The next attempt is due during this time.
        thread::sleep(SHORT);
        assert_eq!(starts.lock().unwrap().len(), started, "attempts overlap");
        Attempt { succeeded: *succeeded, value: () }
    });
    assert_eq!((winner(&result), losers(&result)), (Some((2, true)), vec![(0, false), (1, false)]));
    assert_eq!(starts.into_inner().unwrap(), [thread::current().id(); 3]);
}

#[test]
fn user_interrupts_a_race() {
    for (schedule, max_running) in [
        (Schedule::Overlapping(LONG), MAX_ADDRESSES),
        (Schedule::Overlapping(Duration::ZERO), 1),
        (Schedule::OneAfterAnother(LONG), MAX_ADDRESSES),
    ] {
        let stop = AtomicBool::new(false);
        let rules = Rules { schedule, max_running, stop: &stop, ..rules(LONG) };
        let result = race(&[(), ()], rules, |(), cancel| {
            stop.store(true, Ordering::Relaxed);
            Attempt { succeeded: wait_until(|| false, cancel), value: () }
        });
        assert_eq!((winner(&result), losers(&result)), (None, vec![(0, true)]), "{schedule:?}");
    }
}
