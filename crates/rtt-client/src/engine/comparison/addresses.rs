//! Selects the addresses of both sides of a comparison.
//!
//! If both targets have the same host name, both sides use the same address if possible. Otherwise the difference could be
//! a difference between two paths or two hosts.

use crate::engine::address_race::{
    ATTEMPT_DELAY, Attempt, LastCandidate, RaceResult, Rules, Schedule, race,
};
use crate::engine::run::{RunError, is_same_host};
use crate::engine::select_address::{
    SelectedAddress, Tried, failed_attempt, schedule, select_address,
};
use crate::event::FailedAttempt;
use crate::net::resolve::MAX_ADDRESSES;
use crate::plan::Plan;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

/// Selects an address for each side. `addresses` are the addresses of the names.
///
/// If the sides have the same host and several addresses in common, the result is the first common address at which both
/// sides answer. If there is none, each side has the first address that answers, or the last one.
pub(super) fn select_addresses(
    plans: [&Plan; 2],
    addresses: [&[SocketAddr]; 2],
    stop: &AtomicBool,
) -> Result<[SelectedAddress; 2], RunError> {
    let common = if plans[0].target.host == plans[1].target.host {
        common_addresses(addresses)
    } else {
        Vec::new()
    };
    let mut failed: [Vec<FailedAttempt>; 2] = Default::default();
    // A single address needs no test.
    if common.len() > 1 {
        let selected = select_common_address(plans, &common, &mut failed, stop)?;
        if let Some(pair) = selected {
            let [a, b] = failed;
            return Ok([(pair[0], a), (pair[1], b)]
                .map(|(address, failed)| SelectedAddress::untried(address, failed)));
        }
    }
    let select = |side: usize| {
        let is_failed =
            |address: &SocketAddr| failed[side].iter().any(|attempt| attempt.address == *address);
        let mut remaining = addresses[side].to_vec();
        remaining.retain(|address| !is_failed(address));
        match addresses[side] {
            // No address answers, so another attempt shows nothing new.
            [.., last] if remaining.is_empty() => Ok(SelectedAddress::untried(*last, Vec::new())),
            _ => select_address(plans[side], &remaining, stop),
        }
    };
    let [mut a, mut b] = [select(0)?, select(1)?];
    for (selected, failed) in [&mut a, &mut b].into_iter().zip(failed) {
        selected.failed_attempts.splice(0..0, failed);
    }
    Ok([a, b])
}

/// Tries the pairs of addresses, as in [`select_address`]. A pair answers if both sides answer. Adds the failed attempts of
/// each side to `failed`.
fn select_common_address(
    plans: [&Plan; 2],
    pairs: &[[SocketAddr; 2]],
    failed: &mut [Vec<FailedAttempt>; 2],
    stop: &AtomicBool,
) -> Result<Option<[SocketAddr; 2]>, RunError> {
    // An attempt consists of two exchanges, one after the other.
    let schedule = match plans.map(|plan| schedule(plan, pairs.len())) {
        [Schedule::OneAfterAnother(a), Schedule::OneAfterAnother(b)] => {
            Schedule::OneAfterAnother(a + b)
        }
        _ => Schedule::Overlapping(ATTEMPT_DELAY),
    };
    let rules = Rules { schedule, last: LastCandidate::Try, max_running: MAX_ADDRESSES, stop };
    let RaceResult { winner, losers } = race(pairs, rules, |pair, cancel| {
        let mut failed = [None, None];
        let mut result = Ok(());
        for (side, failed) in failed.iter_mut().enumerate() {
            match Tried::run(plans[side], pair[side], cancel) {
                Ok(tried) if tried.is_answered() => {}
                Ok(tried) => *failed = tried.into_failure(),
                Err(error) => result = Err(error),
            }
            if failed.is_some() || result.is_err() {
                break;
            }
        }
        let succeeded = result.is_ok() && failed.iter().all(Option::is_none);
        Attempt { succeeded, value: result.map(|()| failed) }
    });
    let mut first_error = None;
    for loser in losers {
        let pair = pairs[loser.index];
        let is_earlier = winner.as_ref().is_none_or(|winner| loser.index < winner.index);
        match loser.value {
            Err(error) => first_error = first_error.or(Some(error)),
            Ok(failures) if !loser.is_cancelled || is_earlier => {
                for (side, failure) in failures.into_iter().enumerate() {
                    failed[side].extend(failure.map(|failure| {
                        failed_attempt(plans[side], pair[side], failure, loser.is_cancelled)
                    }));
                }
            }
            Ok(_) => {}
        }
    }
    match (winner, first_error) {
        (Some(winner), _) => Ok(Some(pairs[winner.index])),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(None),
    }
}

/// The addresses that both sides have, with the port of each side, in the order of side A.
fn common_addresses([a, b]: [&[SocketAddr]; 2]) -> Vec<[SocketAddr; 2]> {
    let of_b = |of_a: SocketAddr| b.iter().copied().find(|of_b| is_same_host(*of_b, of_a));
    a.iter().filter_map(|of_a| Some([*of_a, of_b(*of_a)?])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Settings;
    use crate::protocol::registry::protocol_named;
    use std::net::UdpSocket;
    use std::thread;
    use std::time::Duration;

    /// Starts a server that answers `requests` datagrams at this address.
    fn server(address: SocketAddr) -> SocketAddr {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut text = vec![0; 2048];
            while let Ok((length, client)) = socket.recv_from(&mut text) {
                text[..length].make_ascii_uppercase();
                socket.send_to(&text[..length], client).unwrap();
            }
        });
        address
    }

    fn plan(host: &str) -> Plan {
        let settings = Settings { timeout: Duration::from_secs(5), ..Settings::one("hello") };
        Plan::new(protocol_named("udp").unwrap(), host.parse().unwrap(), settings).unwrap()
    }

    fn select(
        hosts: [&str; 2],
        addresses: [&[SocketAddr]; 2],
    ) -> ([SocketAddr; 2], [Vec<SocketAddr>; 2]) {
        let [a, b] = hosts.map(plan);
        let selected = select_addresses([&a, &b], addresses, &AtomicBool::new(false)).unwrap();
        let failed = selected.each_ref().map(|side| {
            side.failed_attempts.iter().map(|attempt| attempt.address).collect::<Vec<_>>()
        });
        (selected.map(|side| side.address), failed)
    }

    /// Loopback addresses 127.0.0.`last`. Not every system has more than one.
    fn loopback(last: u8, port: u16) -> SocketAddr {
        ([127, 0, 0, last], port).into()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn sides_with_the_same_host_use_the_first_address_at_which_both_answer() {
        // A answers at both addresses. B answers only at the second one, because its port is closed at the first one.
        let a2 = server(loopback(2, 0));
        let a1 = server(loopback(1, a2.port()));
        let b2 = server(loopback(2, 0));
        let b1 = loopback(1, b2.port());
        let addresses: [&[SocketAddr]; 2] = [&[a1, a2], &[b1, b2]];
        let (selected, failed) = select(["same.example:7", "same.example:8"], addresses);
        assert_eq!((selected, failed), ([a2, b2], [vec![], vec![b1]]));
        // Different hosts are selected separately.
        let (selected, _) = select(["one.example:7", "two.example:8"], addresses);
        assert_eq!(selected, [a1, b2]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn sides_without_a_common_answering_address_are_selected_separately() {
        let a1 = server(loopback(1, 0));
        let a2 = loopback(2, a1.port());
        let b2 = server(loopback(2, 0));
        let b1 = loopback(1, b2.port());
        let (selected, failed) =
            select(["same.example:7", "same.example:8"], [&[a1, a2], &[b1, b2]]);
        assert_eq!((selected, failed), ([a1, b2], [vec![a2], vec![b1]]));
    }

    #[test]
    fn common_addresses_have_the_port_of_each_side_and_the_same_zone() {
        let parse = |addresses: &[&str]| -> Vec<SocketAddr> {
            addresses.iter().map(|address| address.parse().unwrap()).collect()
        };
        let a = parse(&["[fe80::1%1]:1", "192.0.2.1:1", "192.0.2.2:1"]);
        let b = parse(&["192.0.2.2:2", "[fe80::1%2]:2", "192.0.2.1:2"]);
        let expected = [["192.0.2.1:1", "192.0.2.1:2"], ["192.0.2.2:1", "192.0.2.2:2"]];
        let expected = expected.map(|pair| pair.map(|address| address.parse().unwrap()));
        assert_eq!(common_addresses([&a, &b]), expected);
    }
}
