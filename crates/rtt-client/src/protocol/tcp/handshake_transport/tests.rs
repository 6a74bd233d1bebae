//! Tests with real sockets on loopback.

use super::*;
use crate::model::icmp::Origin;
use crate::net::connectionless::CONNECTED_TO_ITSELF;
use crate::plan::Settings;
use socket2::{Domain, Socket, Type};
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

static NO_STOP: AtomicBool = AtomicBool::new(false);

/// Longer than any wait for an event of this host.
const PATIENCE: Duration = Duration::from_secs(10);

fn transport(peer: SocketAddr, change: impl FnOnce(&mut OpenConfig<'static>)) -> Handshakes {
    let mut config = OpenConfig::new(&Settings::one(""));
    change(&mut config);
    Handshakes::open(peer, config).ok().unwrap()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The next event, and the number of its request: whether the handshake was successful, or the condition of its failure.
fn next(transport: &mut Handshakes) -> (u64, Result<Stamp, Failure>) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match transport.receive(WaitUntil::Exact(deadline)).unwrap() {
            Received::Established { request, received, .. } => return (request, Ok(received)),
            Received::Failed { request, failure } => return (request, Err(failure)),
            Received::Nothing => {}
            Received::Stray | Received::End | Received::Bytes { .. } => panic!("not a handshake"),
        }
    }
    panic!("no event");
}

#[test]
fn handshake_has_the_number_of_its_request_and_ends_with_a_fin() {
    let (listener, address) = listener();
    for spin in [false, true] {
        let mut transport = transport(address, |config| config.receiver.spin = spin);
        assert_eq!(transport.local(), Some("127.0.0.1:0".parse().unwrap()));
        for number in [1, 2, 9] {
            let sent = transport.send(number, b"", &NO_STOP).unwrap().stamp;
            let (answered, received) = next(&mut transport);
            assert_eq!(answered, number);
            assert!(received.unwrap().since(&sent) > Duration::ZERO);
            let (mut stream, _) = listener.accept().unwrap();
            // After a reset, the read would return an error.
            assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
        }
        assert!(transport.in_flight.is_empty());
    }
}

#[test]
fn several_handshakes_are_in_flight_at_the_same_time() {
    let (_listener, address) = listener();
    let mut transport = transport(address, |_| {});
    let numbers: Vec<u64> = (1..=50).collect();
    for number in &numbers {
        transport.send(*number, b"", &NO_STOP).unwrap();
    }
    assert_eq!(transport.in_flight.len(), numbers.len());
    let mut answered: Vec<u64> = numbers.iter().map(|_| next(&mut transport).0).collect();
    answered.sort_unstable();
    assert_eq!(answered, numbers);
    assert!(transport.in_flight.is_empty());
}

#[test]
fn refused_handshake_is_the_failure_of_its_request() {
    let (listener, address) = listener();
    drop(listener);
    let mut transport = transport(address, |_| {});
    transport.send(7, b"", &NO_STOP).unwrap();
    let (number, result) = next(&mut transport);
    let failure = result.unwrap_err();
    assert_eq!((number, failure.condition), (7, Condition::Refused));
    if cfg!(all(target_os = "linux", not(portable))) {
        assert_eq!(failure.origin, Some(Origin::Peer));
    }
    assert!(transport.in_flight.is_empty());
}

/// A listener whose queue of new connections is full, and the connection in this queue. The kernel then drops each SYN.
#[cfg(target_os = "linux")]
fn full_listener() -> (Socket, TcpStream, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, TcpStream::connect(address).unwrap(), address)
}

#[cfg(target_os = "linux")]
#[test]
fn request_that_is_given_up_has_no_socket() {
    let (_listener, _stream, address) = full_listener();
    let mut transport = transport(address, |_| {});
    transport.send(1, b"", &NO_STOP).unwrap();
    let until = WaitUntil::Exact(Instant::now() + Duration::from_millis(20));
    assert!(matches!(transport.receive(until).unwrap(), Received::Nothing));
    assert_eq!(transport.in_flight.len(), 1);
    // The kernel repeats a SYN after one second, so there is one SYN.
    assert_eq!(transport.give_up(1), None);
    assert!(transport.in_flight.is_empty());
    assert_eq!(transport.give_up(1), None);
}

#[test]
fn socket_that_is_connected_to_itself_is_refused() {
    let (listener, address) = listener();
    drop(listener);
    let mut transport = transport(address, |config| config.bind = Some(address));
    transport.send(1, b"", &NO_STOP).unwrap();
    let (_, result) = next(&mut transport);
    let failure = result.unwrap_err();
    assert_eq!(failure.condition, Condition::Refused);
    assert_eq!(failure.detail.as_deref(), Some(CONNECTED_TO_ITSELF));
}

#[test]
fn reset_after_the_handshake_does_not_change_its_success() {
    let (listener, address) = listener();
    let mut transport = transport(address, |_| {});
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let socket = Socket::from(stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    });
    transport.send(1, b"", &NO_STOP).unwrap();
    // The server has sent its reset when the thread ends.
    server.join().unwrap();
    assert!(next(&mut transport).1.is_ok());
    let error = |kind: ErrorKind| io::Error::from(kind);
    assert!(!is_about_handshake(&error(ErrorKind::ConnectionReset)));
    assert!(is_about_handshake(&error(ErrorKind::ConnectionRefused)));
}

#[test]
fn socket_that_cannot_be_bound_ends_a_run_at_its_start() {
    let (_listener, address) = listener();
    let mut config = OpenConfig::new(&Settings::one(""));
    // 192.0.2.0/24 is for documentation (RFC 5737), so this host has no address in it.
    config.bind = Some("192.0.2.1:0".parse().unwrap());
    assert!(open(address, config).is_err());
}

#[test]
fn local_port_of_the_user_serves_one_handshake_at_a_time() {
    let (_listener, address) = listener();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut transport = transport(address, |config| config.bind = Some(free));
    assert_eq!(transport.local(), Some(free));
    for number in [1, 2] {
        transport.send(number, b"", &NO_STOP).unwrap();
    }
    let mut results = [next(&mut transport), next(&mut transport)];
    results.sort_by_key(|(number, _)| *number);
    let [(_, first), (_, second)] = results;
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().condition, Condition::LocalLimit);
}
