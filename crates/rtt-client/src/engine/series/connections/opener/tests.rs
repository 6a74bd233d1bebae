//! Tests: when the client looks up a name again, and which thread opens a channel.

use super::*;
use crate::engine::test_transport::{ADDRESS, open_echo};
use crate::plan::{Family, Settings};
use crate::protocol::registry::protocol_named;
use std::thread;

/// The address of the name in these tests. [`ADDRESS`] has another port, so the look-up shows a new address.
const NEW: SocketAddr = SocketAddr::new(ADDRESS.ip(), 9);

/// An opener with a recent look-up. Its first attempt is successful.
fn opener(open: Open, settings: Settings) -> Opener<'static> {
    let settings = Settings { family: Some(Family::V4), ..settings };
    let tcp = protocol_named("tcp").unwrap();
    let config = OpenConfig::new(&settings);
    let plan = Plan::new(tcp, "localhost:9".parse().unwrap(), settings).unwrap();
    let first = open_echo(ADDRESS, config).unwrap();
    let mut opener = Opener::new(open, &plan, Some(ADDRESS), config, first);
    opener.set_resolver(NameResolver::of(&plan).unwrap());
    assert!(opener.next(LookUpTime::Now).unwrap().transport.is_ok());
    opener.attempt_used(None);
    opener
}

/// Ends the pause after the last look-up.
fn look_up_is_due(opener: &mut Opener<'_>) {
    opener.name.as_mut().unwrap().last_look_up = None;
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a driver")]
fn refuse(_: SocketAddr, _: OpenConfig<'_>) -> Result<OpenAttempt, SocketError> {
    let failure = Failure::new(Condition::Refused, Duration::ZERO);
    Ok(OpenAttempt { connection: None, transport: Err(failure) })
}

/// Calls `poll` until it returns the result of the other thread.
fn wait_for<T>(mut poll: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(result) = poll() {
            return result;
        }
        thread::yield_now();
    }
}

#[test]
fn new_channel_uses_the_new_address_of_the_name() {
    let mut opener = opener(open_echo, Settings::series(9));
    opener.next(LookUpTime::Now).unwrap();
    assert_eq!(opener.address(), Some(ADDRESS), "the last look-up is recent");
    look_up_is_due(&mut opener);
    opener.next(LookUpTime::Now).unwrap();
    assert_eq!(opener.address(), Some(NEW));
    let changes = opener.take_changes();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].old, changes[0].new), (Some(ADDRESS), NEW));
    assert_eq!(
        (&changes[0].host[..], changes[0].reason),
        ("localhost", AddressChangeReason::NameChanged)
    );
}

#[test]
fn channel_for_a_request_in_flight_is_opened_without_a_look_up_and_checked_later() {
    let mut opener = opener(open_echo, Settings::series(9));
    look_up_is_due(&mut opener);
    opener.next(LookUpTime::Later).unwrap();
    assert_eq!(opener.address(), Some(ADDRESS));
    assert!(opener.name_has_changed(None));
    assert_eq!(opener.address(), Some(NEW));
    assert!(!opener.name_has_changed(None), "one look-up for each channel");
}

#[test]
fn channel_at_a_fixed_rate_is_opened_without_a_look_up_and_another_thread_checks_the_name() {
    let mut opener = opener(open_echo, Settings { rate: Some(10.0), ..Settings::series(9) });
    look_up_is_due(&mut opener);
    opener.next(LookUpTime::Now).unwrap();
    assert_eq!(opener.address(), Some(ADDRESS));
    assert!(!opener.name_has_changed(Some(ADDRESS)), "the look-up takes place in another thread");
    let finished = wait_for(|| opener.take_finished());
    assert_eq!(finished.beside, Some(ADDRESS));
    assert_eq!(finished.attempt.unwrap().address, Some(NEW));
    look_up_is_due(&mut opener);
    assert!(opener.take_resolver().is_some(), "the other thread has returned the resolver");
}

#[test]
fn attempts_after_a_failed_one_run_in_another_thread_at_a_fixed_rate() {
    let mut opener = opener(refuse, Settings { rate: Some(1000.0), ..Settings::series(9) });
    let failed = opener.next(LookUpTime::Now).unwrap().transport.err();
    opener.attempt_used(failed.as_ref());
    // While the other thread runs, a request fails with the condition of the last attempt.
    assert!(opener.next(LookUpTime::Now).is_none());
    assert_eq!(opener.no_channel().condition, Condition::Refused);
    let finished = wait_for(|| opener.next(LookUpTime::Now));
    assert_eq!(finished.transport.err().unwrap().condition, Condition::Refused);
}

#[test]
fn attempts_without_a_schedule_run_in_this_thread() {
    let mut opener = opener(refuse, Settings::series(9));
    for _ in 0..3 {
        let failed = opener.next(LookUpTime::Now).unwrap().transport.err();
        opener.attempt_used(failed.as_ref());
        assert!(!opener.has_background());
    }
}
