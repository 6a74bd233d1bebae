//! Tests of the order and of the amount of work, with real sockets and a simulated time.

use super::*;
use crate::acceptor::Acceptor;
use crate::slots::{MAX_CONNECTIONS, PrefixLimits};
use echo_service::SourceLimit;
use socket2::{Domain, Type};
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream as Client};
use std::num::NonZero;

/// Maximum wait for events. It is long because other programs can use the CPU meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);

const MILLISECOND: Duration = Duration::from_millis(1);

const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const HOSTILE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// The work of a table since its creation.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Number of selections of a next step.
    pub(super) selections: usize,
    /// Number of checks whether a connection has a request. Each check can need a system call.
    pub(super) request_checks: usize,
    /// The peer of each step.
    pub(super) steps: Vec<IpAddr>,
}

/// A table with real connections. The tests choose the source of each connection.
struct Fixture {
    table: ConnectionTable<'static>,
    poller: Poller,
    listener: TcpListener,
}

impl Fixture {
    fn new(rate: u32) -> Self {
        Self::with_config(Config { rate: Some(rate), ..Config::default() })
    }

    fn with_config(config: Config) -> Self {
        let config = Box::leak(Box::new(config));
        let poller = Poller::new(Duration::ZERO).unwrap();
        let source = SourceLimit::resolve(Some(0), NonZero::<u64>::MIN);
        let limits = PrefixLimits::new(MAX_CONNECTIONS, source);
        let slots = ConnectionSlots::new(MAX_CONNECTIONS, limits, vec![poller.waker()]);
        let slots = Box::leak(Box::new(slots));
        let rate_limit = Box::leak(Box::new(RateLimit::new(config.rate)));
        Self {
            table: ConnectionTable::new(slots, 0, rate_limit, config),
            poller,
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    /// Adds a connection from `peer`, and returns the other end.
    fn connect(&mut self, peer: IpAddr) -> Client {
        let client = Client::connect(self.listener.local_addr().unwrap()).unwrap();
        self.accept(peer);
        client
    }

    /// Adds a connection from `peer`, and returns the other end. Its receive buffer is smaller than the reply to one
    /// read.
    fn connect_with_small_buffer(&mut self, peer: IpAddr) -> Client {
        let client = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_recv_buffer_size(READ_SIZE / 4).unwrap();
        client.connect(&self.listener.local_addr().unwrap().into()).unwrap();
        self.accept(peer);
        client.into()
    }

    fn accept(&mut self, peer: IpAddr) {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let slot = self.table.slots.acquire(peer, self.table.next_owner()).unwrap().slot;
        self.table.insert(TcpStream::from_std(stream), peer, slot, &self.poller).unwrap();
    }

    /// Receives events until `count` connections have input.
    fn receive_events(&mut self, count: usize) {
        let mut readable = HashSet::new();
        while readable.len() < count {
            self.poller.wait(Some(TIMEOUT)).unwrap();
            let before = readable.len();
            for readiness in self.poller.events() {
                if readiness.is_readable {
                    readable.insert(readiness.token);
                }
                self.table.handle_event(readiness);
            }
            assert!(readable.len() > before || self.poller.events().next().is_some());
        }
    }

    fn run_all(&mut self, now: Instant) {
        while !self.table.is_idle() || self.table.wait_timeout(now) == Some(Duration::ZERO) {
            self.table.run_steps(now);
        }
    }
}

#[test]
fn work_for_waiting_connections_depends_on_the_units_and_not_on_the_time() {
    let (connections, rate, seconds) = (200, 10, 5);
    let mut fixture = Fixture::new(rate);
    let mut clients = Vec::new();
    for _ in 0..connections {
        for peer in [HONEST, HOSTILE] {
            let mut client = fixture.connect(peer);
            client.write_all(b"x").unwrap();
            clients.push(client);
        }
    }
    fixture.receive_events(clients.len());
    let start = Instant::now();
    fixture.run_all(start);
    let burst = 2 * rate as usize;
    let waiting = clients.len() - burst;
    let work = std::mem::take(&mut fixture.table.work);
    // Where a short read does not show that the buffer is empty, each request needs a second step. This step checks for
    // another request.
    let steps_per_request = if cfg!(all(target_os = "linux", not(portable))) { 1 } else { 2 };
    let second_steps = burst * (steps_per_request - 1);
    let expected = (burst + second_steps, waiting + second_steps);
    assert_eq!((work.steps.len(), work.request_checks), expected);

    for milliseconds in 1..=1000 * seconds {
        fixture.run_all(start + MILLISECOND * milliseconds);
    }
    let work = &fixture.table.work;
    let units = burst * seconds as usize;
    let (steps, requests) = (work.steps.len(), work.steps.len() / steps_per_request);
    assert!(requests.abs_diff(units) <= 2, "{steps} steps, {units} units");
    assert_eq!(work.request_checks, steps - requests, "no second check of a waiting connection");
    assert!(work.selections <= 3 * steps, "{} selections for {steps} steps", work.selections);
    assert_eq!(fixture.table.totals().rate_limited_reads, waiting as u64, "one for each wait");
}

#[test]
fn waiting_connections_of_one_source_are_answered_in_order() {
    let mut fixture = Fixture::new(10);
    let mut clients: Vec<_> = (0..40).map(|_| fixture.connect(HONEST)).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        client.write_all(b"x").unwrap();
        fixture.receive_events(1);
    }
    let start = Instant::now();
    fixture.run_all(start);
    // A later request of an answered connection must not be answered before the earlier ones of the others.
    clients[0].read_exact(&mut [0]).unwrap();
    clients[0].write_all(b"y").unwrap();
    fixture.receive_events(1);
    for number in 10..40_u32 {
        // The time at which the source has its next unit.
        fixture.run_all(start + 100 * MILLISECOND * (number - 9) + MILLISECOND);
        clients[number as usize].read_exact(&mut [0]).unwrap();
        if let Some(next) = clients.get(number as usize + 1) {
            next.set_nonblocking(true).unwrap();
            assert!((&mut &*next).read(&mut [0]).is_err(), "connection {number}");
            next.set_nonblocking(false).unwrap();
        }
    }
    fixture.run_all(start + 5000 * MILLISECOND);
    clients[0].read_exact(&mut [0]).unwrap();
}

#[test]
fn closed_waiting_connections_leave_the_queue_and_release_their_tokens() {
    let mut fixture = Fixture::new(1);
    let mut first = fixture.connect(HOSTILE);
    first.write_all(b"x").unwrap();
    fixture.receive_events(1);
    let now = Instant::now();
    fixture.run_all(now);
    let mut maximum = 0;
    for _ in 0..500 {
        let token = fixture.table.connections.next_token();
        let mut client = fixture.connect(HOSTILE);
        client.write_all(b"x").unwrap();
        fixture.receive_events(1);
        fixture.run_all(now);
        let queue = fixture.table.connections.get(token).unwrap().queue();
        assert!(queue.is_rate_limited());
        drop(fixture.table.remove(token));
        maximum = maximum.max(fixture.table.connections.tokens_in_use());
    }
    assert!(maximum <= 3, "{maximum} tokens");
    assert_eq!(fixture.table.wait_timeout(now), None, "no connection waits");
}

#[test]
fn closed_runnable_connections_leave_the_queue_and_release_their_tokens() {
    let mut fixture = Fixture::new(0);
    let mut clients: Vec<_> = (0..100).map(|_| fixture.connect(HOSTILE)).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    fixture.receive_events(clients.len());
    for token in (0..100).rev() {
        drop(fixture.table.remove(token));
    }
    assert!(fixture.table.is_empty() && fixture.table.is_idle());
    assert_eq!(fixture.table.connections.tokens_in_use(), 0);
}

#[test]
fn request_of_another_source_waits_for_one_step_of_a_source_with_many_connections() {
    let mut fixture = Fixture::new(0);
    // The upper case of U+0390 is three times as long.
    let text = "\u{390}".repeat(READ_SIZE);
    let mut hostile: Vec<_> = (0..64).map(|_| fixture.connect(HOSTILE)).collect();
    for client in &mut hostile {
        client.write_all(text.as_bytes()).unwrap();
    }
    let mut honest = fixture.connect(HONEST);
    honest.set_read_timeout(Some(TIMEOUT)).unwrap();
    let now = Instant::now();
    fixture.receive_events(hostile.len());
    for _ in 0..20 {
        fixture.table.run_next_step(now);
        honest.write_all(b"hello").unwrap();
        fixture.receive_events(1);
        fixture.table.work.steps.clear();
        while !fixture.table.work.steps.contains(&HONEST) {
            assert!(!fixture.table.is_idle(), "the hostile connections need more steps");
            fixture.table.run_next_step(now);
        }
        assert!(fixture.table.work.steps.len() <= 2, "{:?}", fixture.table.work.steps);
        honest.read_exact(&mut [0; 5]).unwrap();
    }
}

#[test]
fn longest_timeouts_are_accepted() {
    let (idle_timeout, stall_timeout) = (Duration::MAX, Duration::MAX);
    let mut fixture =
        Fixture::with_config(Config { idle_timeout, stall_timeout, ..Config::default() });
    let mut client = fixture.connect(HONEST);
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client.write_all(b"x").unwrap();
    fixture.receive_events(1);
    fixture.run_all(Instant::now());
    client.read_exact(&mut [0]).unwrap();
    fixture.table.close_timed_out();
    assert!(!fixture.table.is_empty());
}

/// The source has used all units of its rate limit, so its connections run no step.
#[test]
fn reset_connection_that_waits_for_its_rate_limit_is_closed_at_the_next_tick() {
    let mut fixture = Fixture::new(1);
    let mut client = fixture.connect_with_small_buffer(HOSTILE);
    client.write_all(&vec![b'x'; 2 * READ_SIZE]).unwrap();
    fixture.receive_events(1);
    let now = Instant::now();
    fixture.run_all(now);
    assert_eq!(fixture.table.totals.rate_limited_reads, 1);
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    fixture.receive_events(1);
    fixture.run_all(now);
    assert!(!fixture.table.is_empty(), "the connection still waits for its rate limit");
    fixture.table.close_timed_out();
    assert!(fixture.table.is_empty() && fixture.table.wait_timeout(now).is_none());
    let totals = fixture.table.totals;
    assert_eq!((totals.closed_with_error, totals.closed_stalled), (1, 0), "{totals:?}");
}

#[test]
fn flood_of_new_connections_is_accepted_in_small_batches() {
    let mut fixture = Fixture::new(0);
    let address = fixture.listener.local_addr().unwrap();
    let listeners = vec![fixture.listener.try_clone().unwrap()];
    let mut acceptor = Acceptor::new(listeners, &fixture.poller).unwrap();
    let _clients: Vec<_> = (0..50).map(|_| Client::connect(address).unwrap()).collect();
    let (slots, config) = (fixture.table.slots, fixture.table.config);
    let mut accepted = 0;
    while accepted < 50 {
        acceptor
            .accept(Instant::now(), slots, config, &mut fixture.table, &fixture.poller)
            .unwrap();
        let batch = fixture.table.totals.connections - accepted;
        assert!((1..=8).contains(&batch), "{batch}");
        accepted += batch;
    }
}
