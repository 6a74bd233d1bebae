//! The server's life: workers take what arrives at their sockets until they are told to end, then what has
//! already arrived.

use crate::Totals;
use crate::answer::{Gate, answer};
use crate::packets::{Packets, Reply, Sent, Wait};
use echo_service::{
    AllowedNetworks, RateLimit, Signals, Worker, WorkerState, run_workers, should_log,
    should_log_batch,
};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many errors in a row a socket may hand up before its worker rests, and for how long: they come with
/// no datagram, and must not make it spin.
const ERRORS: u32 = 64;
const REST: Duration = Duration::from_millis(10);

/// How long datagrams that arrived before the end are answered at most. A receive buffer holds some
/// hundred; only a flood that goes on could take this long.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long an idle worker takes to see that it is to end. Each time costs a few microseconds.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How a server behaves.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Log each message as it is answered.
    pub show_messages: bool,
    /// How long a worker looks for work again and again before it sleeps.
    pub busy_poll: Duration,
    /// Who is answered.
    pub allowed: AllowedNetworks,
    /// Requests a second from one source at most; 0: no limit. None: [`RateLimit::new`]'s default.
    pub rate: Option<u32>,
}

/// Has the system tell what [`serve`] needs to know of what arrives at `socket`, which is bound to `address` or
/// will be. [`serve`] does that too; to do it before binding leaves no time in which something arrives of which
/// less is told, as to which of a host's addresses.
pub fn prepare(socket: &UdpSocket, address: SocketAddr) {
    Packets::prepare(socket, address);
}

/// Answers what arrives at the sockets until `signals` say to end; then what has already arrived, and
/// returns. Each socket gets a thread of its own, which waits for nothing else: so a reply needs two system
/// calls, and no third one that says which socket has something. No datagram and no error that a socket
/// hands up ends it earlier.
///
/// # Errors
///
/// If the system does not give what it takes to begin.
///
/// # Panics
///
/// Only if the code that answers does.
pub async fn serve(
    sockets: Vec<UdpSocket>,
    config: Config,
    signals: Signals,
) -> io::Result<Totals> {
    let mut own_ports = Vec::new();
    for socket in &sockets {
        // A look at the worker's signals each time that nothing has come for so long.
        socket.set_read_timeout(Some(LOOK_UP))?;
        socket.set_nonblocking(false)?;
        let address = socket.local_addr()?;
        prepare(socket, address);
        own_ports.push(address.port());
    }
    let gate = Arc::new(Gate { rate: RateLimit::new(config.rate), config, own_ports });
    let worker = |socket| {
        let gate = Arc::clone(&gate);
        let run =
            Box::new(move |state: &WorkerState<Totals>| Server::new(socket, gate).serve(state));
        Worker { run, wake: Box::new(|| {}) }
    };
    run_workers(sockets.into_iter().map(worker).collect(), &signals).await.map_err(io::Error::other)
}

struct Server {
    socket: UdpSocket,
    packets: Packets,
    replies: Vec<Reply>,
    gate: Arc<Gate>,
    totals: Totals,
    /// How many errors in a row the socket has handed up.
    errors: u32,
    stamps: bool,
}

impl Server {
    fn new(socket: UdpSocket, gate: Arc<Gate>) -> Self {
        let (packets, replies) = (Packets::new(), Vec::new());
        Self { socket, packets, replies, gate, totals: Totals::default(), errors: 0, stamps: false }
    }

    fn serve(mut self, state: &WorkerState<Totals>) {
        let busy_poll = self.gate.config.busy_poll;
        let mut last_work = Instant::now();
        while !state.is_shutting_down() {
            let wait = if !busy_poll.is_zero() && last_work.elapsed() < busy_poll {
                Wait::NotAtAll
            } else {
                Wait::ForOne
            };
            if self.take(wait) && !busy_poll.is_zero() {
                last_work = Instant::now();
            }
            if self.errors >= ERRORS {
                std::thread::sleep(REST);
            }
            state.publish_totals(&self.totals);
        }
        let enough = Instant::now() + LAST_ANSWERS;
        while self.take(Wait::NotAtAll) || (1..ERRORS).contains(&self.errors) {
            if Instant::now() > enough {
                tracing::warn!("more datagrams arrived than could be answered at the end");
                break;
            }
        }
        state.publish_totals(&self.totals);
    }

    /// Takes what there is and answers it. Returns whether there was something.
    fn take(&mut self, wait: Wait) -> bool {
        match self.packets.receive(&self.socket, wait) {
            Ok(received) => {
                self.errors = 0;
                self.answer(received);
                true
            }
            Err(error)
                if matches!(
                    error.kind(),
                    // The last: a stop of the process and its going on.
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                self.errors = 0;
                false
            }
            Err(error) => {
                // An ICMP error for an earlier reply (ECONNREFUSED; on Windows WSAECONNRESET) says
                // nothing about this socket.
                self.errors = self.errors.saturating_add(1);
                self.totals.receive_errors += 1;
                let count = self.totals.receive_errors;
                if should_log(count) {
                    tracing::debug!(%error, count, "the socket handed up an error");
                }
                false
            }
        }
    }

    /// Answers the pieces that have been received last.
    fn answer(&mut self, received: usize) {
        let Self { socket, packets, replies, gate, totals, .. } = self;
        let now = Instant::now();
        for number in 0..received {
            if answer(packets, number, now, gate, replies, totals) && !self.stamps {
                self.stamps = true;
                Packets::stamp(socket);
            }
        }
        packets.send(socket, replies, &mut |sent| match sent {
            Sent::Taken(datagrams) => totals.answered += datagrams,
            Sent::Refused(datagrams, error) => {
                totals.not_sent += datagrams;
                let count = totals.not_sent;
                if should_log_batch(count, datagrams) {
                    tracing::warn!(%error, count, "a reply was not sent");
                }
            }
        });
        replies.clear();
    }
}
