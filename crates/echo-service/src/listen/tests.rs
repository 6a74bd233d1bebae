//! Tests of opening sockets.

use super::*;
use std::error::Error;
use std::io::ErrorKind;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn args(listen: &[SocketAddr], workers: usize) -> ServiceArgs {
    ServiceArgs {
        listen: listen.to_vec(),
        workers: workers.try_into().unwrap(),
        ..ServiceArgs::default()
    }
}

/// Opens UDP sockets and returns the error. Panics if there is no error.
fn udp_error(args: &ServiceArgs) -> ListenError {
    open_udp_sockets(args, 0, |_, _| {}).unwrap_err()
}

/// An error with its sources, as a server prints it.
fn chain(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn address_in_use_error_states_address_and_protocol() {
    let first = open_tcp_listeners(&args(&[ANY_PORT], 1), 0).unwrap();
    let in_use = first[0][0].local_addr().unwrap();
    let error = chain(&open_tcp_listeners(&args(&[in_use], 1), 0).unwrap_err());
    assert!(error.starts_with(&format!("cannot listen on {in_use} (TCP)")), "{error}");
    assert!(error.contains("in use"), "{error}");

    let first = open_udp_sockets(&args(&[ANY_PORT], 1), 0, |_, _| {}).unwrap();
    let in_use = first[0][0].local_addr().unwrap();
    let error = chain(&udp_error(&args(&[in_use], 1)));
    assert!(error.starts_with(&format!("cannot listen on {in_use} (UDP)")), "{error}");
    assert!(error.contains("in use"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn workers_can_share_a_port_but_servers_cannot_share_a_port() {
    let sets = open_udp_sockets(&args(&[ANY_PORT], 3), 0, |_, _| {}).unwrap();
    let addresses = sets.iter().map(|set| set[0].local_addr().unwrap());
    let first = sets[0][0].local_addr().unwrap();
    assert_eq!(addresses.collect::<Vec<_>>(), [first; 3]);
    let error = chain(&udp_error(&args(&[first], 3)));
    assert!(error.contains("in use"), "{error}");
}

#[test]
fn address_of_another_host_is_an_error() {
    // TEST-NET-3 (RFC 5737) is not an address of this machine.
    let foreign = SocketAddr::from(([203, 0, 113, 77], 0));
    let error = udp_error(&args(&[foreign], 1));
    assert!(error.source().is_some(), "{error}");
    let error = chain(&error);
    assert!(error.ends_with("; this host does not have this address"), "{error}");
}

#[test]
fn multicast_and_broadcast_addresses_are_errors() {
    for group in ["224.0.0.1:0", "255.255.255.255:0", "[ff02::1]:0"] {
        let error = udp_error(&args(&[group.parse().unwrap()], 1)).to_string();
        assert!(error.contains("many hosts"), "{group}: {error}");
        assert!(error.contains(group), "{group}: {error}");
    }
}

#[test]
fn default_addresses_are_loopback_addresses() {
    for socket in &open_udp_sockets(&args(&[], 1), 0, |_, _| {}).unwrap()[0] {
        assert!(socket.local_addr().unwrap().ip().is_loopback());
    }
}

#[test]
fn only_an_unavailable_address_means_that_ipv6_is_missing() {
    let bind = |kind: ErrorKind| ListenError::bind("UDP", ANY_PORT, kind.into());
    assert!(bind(ErrorKind::AddrNotAvailable).is_without_ipv6());
    assert!(!bind(ErrorKind::AddrInUse).is_without_ipv6());
}

#[test]
fn error_for_a_link_local_address_without_a_zone_contains_an_example() {
    let address = "[fe80::1]:4000".parse().unwrap();
    let error = chain(&ListenError::bind("UDP", address, ErrorKind::InvalidInput.into()));
    assert!(error.contains("[fe80::1%eth0]:4000"), "{error}");
}
