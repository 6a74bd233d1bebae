//! Attacks over TCP: one thread with many connections.

use super::{AttackCounts, repeated};
use crate::soak::connection::{connect_within, new_socket, source};
use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The second byte of the first attacker's address.
const NETWORK: u8 = 66;

/// A slow reader reads this many bytes after each [`SLOW_READ_INTERVAL`].
const SLOW_READ_SIZE: usize = 2;

/// The time between two reads of a slow reader.
const SLOW_READ_INTERVAL: Duration = Duration::from_millis(500);

/// The size of both buffers of a slow reader in bytes. The report contains the memory of all sockets. With small
/// buffers of the attacker, it is nearly the memory of the server's sockets.
const SLOW_READER_BUFFER: usize = 4096;

/// If the server has closed a connection, the attacker opens it again. It opens at most this many per second. A higher
/// rate would be a flood of SYN segments, which the kernel handles.
const REOPENED_PER_SECOND: u32 = 500;

/// The timeout for a new connection. On loopback, it passes only if the server's queue of new connections is full.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(50);

/// After this time, the attack starts even if connections are missing.
const MAX_START_TIME: Duration = Duration::from_secs(2);

/// The maximum time of a wait for events.
const MAX_WAIT: Duration = Duration::from_millis(5);

/// An attack with connections.
pub(super) struct TcpAttack {
    /// The number of source addresses. Each of them is in another network.
    pub(super) sources: usize,
    pub(super) connections_per_source: usize,
    /// A request contains repetitions of this text.
    pub(super) text: &'static str,
    /// The maximum size of a request in bytes.
    pub(super) size: usize,
    pub(super) requests: Requests,
    pub(super) replies: Replies,
}

/// When a connection sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requests {
    /// Whenever the kernel accepts more bytes.
    Continuous,
    /// When the reply to the last request is complete.
    AfterReply,
    /// Never.
    None,
}

/// How a connection reads replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replies {
    /// As soon as they arrive.
    Read,
    /// A few bytes per second.
    ReadSlowly,
}

/// Raises the limit on open files of this process to the maximum that the system permits.
pub(super) fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit on open files")
}

/// Runs the attack until `is_finished` returns true. Its arguments are the counts and the time since the start of the
/// attack. Calls `ready` when the attacker has tried to open all connections.
pub(super) fn run(
    attack: &TcpAttack,
    server: SocketAddr,
    is_finished: impl Fn(&AttackCounts, Duration) -> bool,
    ready: impl FnOnce(),
) -> Result<AttackCounts> {
    raise_descriptor_limit()?;
    let mut attacker = Attacker::new(attack, server)?;
    let latest_start = Instant::now() + MAX_START_TIME;
    for index in 0..attacker.connections.len() {
        if Instant::now() < latest_start {
            attacker.open(index)?;
        } else {
            attacker.closed.push_back(index);
        }
    }
    ready();
    let start = Instant::now();
    let mut slow_read = start;
    let mut reopened = 0;
    let mut events = vec![EpollEvent::empty(); 1024];
    while !is_finished(&attacker.counts, start.elapsed()) {
        let count = attacker.epoll.wait(&mut events, EpollTimeout::try_from(MAX_WAIT)?)?;
        for event in &events[..count] {
            attacker.handle(*event)?;
        }
        if attack.replies == Replies::ReadSlowly && slow_read.elapsed() >= SLOW_READ_INTERVAL {
            slow_read = Instant::now();
            attacker.read_slowly();
        }
        let permitted = start.elapsed().as_secs_f64() * f64::from(REOPENED_PER_SECOND);
        while f64::from(reopened) < permitted {
            let Some(index) = attacker.closed.pop_front() else { break };
            attacker.open(index)?;
            reopened += 1;
        }
    }
    attacker.counts.milliseconds = u64::try_from(start.elapsed().as_millis())?;
    Ok(attacker.counts)
}

struct Attacker<'a> {
    attack: &'a TcpAttack,
    server: SocketAddr,
    request: Vec<u8>,
    reply_size: usize,
    interest: EpollFlags,
    epoll: Epoll,
    connections: Vec<Connection>,
    /// The indices of closed connections.
    closed: VecDeque<usize>,
    buffer: Vec<u8>,
    counts: AttackCounts,
}

struct Connection {
    source: IpAddr,
    stream: Option<TcpStream>,
    /// The number of bytes of the current request that the kernel has accepted.
    sent: usize,
    /// The number of bytes of the current reply that have arrived.
    received: usize,
}

impl<'a> Attacker<'a> {
    fn new(attack: &'a TcpAttack, server: SocketAddr) -> Result<Self> {
        let request = repeated(attack.text, attack.size);
        let sources = (0..attack.sources).map(|index| source(NETWORK, index));
        // One connection of each source at a time, so no source has to wait for all connections of another one.
        let sources = sources.collect::<Vec<_>>().repeat(attack.connections_per_source);
        let connection = |source| Connection { source, stream: None, sent: 0, received: 0 };
        let mut interest = EpollFlags::EPOLLRDHUP;
        // A slow reader would always be readable, so it does not wait for this event.
        interest.set(EpollFlags::EPOLLIN, attack.replies == Replies::Read);
        interest.set(EpollFlags::EPOLLOUT, attack.requests == Requests::Continuous);
        Ok(Self {
            reply_size: attack.text.to_uppercase().len() * (attack.size / attack.text.len()),
            attack,
            server,
            request,
            interest,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            connections: sources.into_iter().map(connection).collect(),
            closed: VecDeque::new(),
            buffer: vec![0; 64 * 1024],
            counts: AttackCounts::default(),
        })
    }

    /// Opens a connection. If this fails, the connection counts as closed.
    fn open(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let socket = new_socket()?;
        if self.attack.replies == Replies::ReadSlowly {
            socket.set_send_buffer_size(SLOW_READER_BUFFER)?;
            socket.set_recv_buffer_size(SLOW_READER_BUFFER)?;
        }
        let stream = connect_within(CONNECT_TIMEOUT, socket, self.server, connection.source);
        let Ok(stream) = stream else {
            self.closed.push_back(index);
            return Ok(());
        };
        stream.set_nonblocking(true)?;
        self.epoll.add(&stream, EpollEvent::new(self.interest, index as u64))?;
        *connection =
            Connection { source: connection.source, stream: Some(stream), sent: 0, received: 0 };
        self.counts.opened += 1;
        if self.attack.requests == Requests::AfterReply && self.send(index) == State::Closed {
            self.close(index);
        }
        Ok(())
    }

    fn handle(&mut self, event: EpollEvent) -> Result<()> {
        let index = usize::try_from(event.data())?;
        let flags = event.events();
        let mut state = State::Open;
        if flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP) {
            state = State::Closed;
        }
        if state == State::Open && flags.contains(EpollFlags::EPOLLIN) {
            state = self.receive(index);
        }
        if state == State::Open && flags.contains(EpollFlags::EPOLLOUT) {
            state = self.send(index);
        }
        if state == State::Closed {
            self.close(index);
        }
        Ok(())
    }

    /// Passes the rest of the current request to the kernel.
    fn send(&mut self, index: usize) -> State {
        let connection = &mut self.connections[index];
        let Some(stream) = &mut connection.stream else { return State::Open };
        match stream.write(&self.request[connection.sent..]) {
            Ok(length) => {
                connection.sent = (connection.sent + length) % self.request.len();
                self.counts.requests += 1;
                self.counts.bytes += length as u64;
                State::Open
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => State::Open,
            Err(_) => State::Closed,
        }
    }

    fn receive(&mut self, index: usize) -> State {
        let connection = &mut self.connections[index];
        let Some(stream) = &mut connection.stream else { return State::Open };
        match stream.read(&mut self.buffer) {
            Ok(0) => State::Closed,
            Ok(length) => {
                connection.received += length;
                let is_complete = connection.received >= self.reply_size;
                connection.received %= self.reply_size;
                if is_complete && self.attack.requests == Requests::AfterReply {
                    return self.send(index);
                }
                State::Open
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => State::Open,
            Err(_) => State::Closed,
        }
    }

    /// Reads a few bytes from each connection.
    fn read_slowly(&mut self) {
        for index in 0..self.connections.len() {
            let Some(stream) = &mut self.connections[index].stream else { continue };
            match stream.read(&mut self.buffer[..SLOW_READ_SIZE]) {
                Ok(length) if length > 0 => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => self.close(index),
            }
        }
    }

    fn close(&mut self, index: usize) {
        if self.connections[index].stream.take().is_some() {
            self.counts.closed += 1;
            self.closed.push_back(index);
        }
    }
}

/// The state of a connection after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// An attack ends after this time, even if it has not reached its counts. On a busy machine, it can take long.
    const DEADLINE: Duration = Duration::from_secs(30);

    fn attack(requests: Requests, replies: Replies) -> TcpAttack {
        TcpAttack { sources: 2, connections_per_source: 2, text: "ab", size: 4, requests, replies }
    }

    /// Runs an attack at a server that handles each connection with `serve`, until `is_finished` or [`DEADLINE`].
    fn counts(
        attack: &TcpAttack,
        serve: fn(TcpStream),
        is_finished: fn(&AttackCounts) -> bool,
    ) -> AttackCounts {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || serve(stream.unwrap()));
            }
        });
        let is_finished = |counts: &_, elapsed| is_finished(counts) || elapsed > DEADLINE;
        run(attack, address, is_finished, || {}).unwrap()
    }

    fn echo(mut stream: TcpStream) {
        let mut buffer = [0; 64];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            buffer.make_ascii_uppercase();
            stream.write_all(&buffer[..length]).unwrap();
        }
    }

    #[test]
    fn next_request_follows_the_reply() {
        // Each connection sends its first request when it is open. The other requests follow replies.
        let attack = attack(Requests::AfterReply, Replies::Read);
        let counts = counts(&attack, echo, |counts| counts.requests >= 20);
        assert_eq!((counts.opened, counts.closed), (4, 0));
        assert!(counts.requests >= 20, "{counts:?}");
        assert_eq!(counts.bytes, 4 * counts.requests);
    }

    #[test]
    fn slow_reader_sends_until_the_buffers_are_full() {
        // The server reads nothing, and keeps its connections until the end of the test process.
        let attack = attack(Requests::Continuous, Replies::ReadSlowly);
        let counts = counts(&attack, std::mem::forget, |counts| counts.bytes > 4 * 4);
        assert_eq!(counts.opened, 4);
        assert!(counts.bytes > 4 * 4, "{counts:?}");
    }

    #[test]
    fn closed_connections_are_opened_again() {
        let attack = attack(Requests::None, Replies::Read);
        let counts = counts(&attack, drop, |counts| counts.opened > 4 && counts.closed >= 4);
        assert!(counts.opened > 4, "{counts:?}");
        assert!(counts.closed >= 4, "{counts:?}");
        assert_eq!(counts.bytes, 0);
    }
}
