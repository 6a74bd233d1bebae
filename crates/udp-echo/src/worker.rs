//! The loop of a worker: receive datagrams, answer them, and check for the shutdown.

use crate::Totals;
use crate::datagram_io::{DatagramIo, SendResult, Wait};
use crate::responder::{Responder, WorkerData};
use echo_service::{WorkerState, should_log, should_log_batch};
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Maximum time to answer the datagrams that arrived before the shutdown. By default, the receive queue has
/// space for a few hundred datagrams, so the answers usually take less time. Only a flood makes them take longer.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval at which an idle worker checks for the shutdown. Each check costs a few microseconds.
pub(crate) const SHUTDOWN_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The worker pauses after this number of consecutive errors of a socket. A receive call with an error returns
/// immediately, so without a pause the worker could use a full CPU.
const MAX_CONSECUTIVE_ERRORS: u32 = 64;
const PAUSE_AFTER_ERRORS: Duration = Duration::from_millis(10);

/// Answers the datagrams that arrive at `socket` until `state` requests the shutdown. Then it answers the
/// datagrams that arrived before the shutdown, and returns.
pub(crate) fn run(
    socket: UdpSocket,
    responder: &Responder,
    busy_poll: Duration,
    state: &WorkerState<Totals>,
) {
    let mut server = Server {
        socket,
        responder,
        io: DatagramIo::new(),
        data: WorkerData::new(Instant::now()),
        consecutive_errors: 0,
        has_timestamps: false,
    };
    server.serve(busy_poll, state);
    server.answer_remaining();
    state.publish_totals(&server.data.totals);
}

struct Server<'a> {
    socket: UdpSocket,
    responder: &'a Responder,
    io: DatagramIo,
    data: WorkerData,
    consecutive_errors: u32,
    /// Whether kernel timestamps are enabled.
    has_timestamps: bool,
}

impl Server<'_> {
    fn serve(&mut self, busy_poll: Duration, state: &WorkerState<Totals>) {
        let mut last_request = Instant::now();
        while !state.is_shutting_down() {
            let is_polling = !busy_poll.is_zero() && last_request.elapsed() < busy_poll;
            let wait = if is_polling { Wait::No } else { Wait::UntilTimeout };
            if self.receive_and_answer(wait) && !busy_poll.is_zero() {
                last_request = Instant::now();
            }
            if self.consecutive_errors >= MAX_CONSECUTIVE_ERRORS {
                std::thread::sleep(PAUSE_AFTER_ERRORS);
            }
            state.publish_totals(&self.data.totals);
        }
    }

    /// Answers the datagrams that arrived before the shutdown.
    fn answer_remaining(&mut self) {
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        while self.receive_and_answer(Wait::No)
            || (1..MAX_CONSECUTIVE_ERRORS).contains(&self.consecutive_errors)
        {
            if Instant::now() > deadline {
                tracing::warn!(
                    "cannot answer all remaining datagrams: more datagrams arrived during the shutdown"
                );
                break;
            }
        }
    }

    /// Receives datagrams and answers them. Returns whether it received any.
    fn receive_and_answer(&mut self, wait: Wait) -> bool {
        match self.io.receive(&self.socket, wait) {
            Ok(received) => {
                self.consecutive_errors = 0;
                self.answer(received);
                true
            }
            Err(error) if is_without_datagram(&error) => {
                self.consecutive_errors = 0;
                false
            }
            Err(error) => {
                // For example, an ICMP error for an earlier reply (ECONNREFUSED; on Windows WSAECONNRESET).
                // The socket still works.
                self.consecutive_errors = self.consecutive_errors.saturating_add(1);
                self.data.totals.receive_errors += 1;
                let count = self.data.totals.receive_errors;
                if should_log(count) {
                    tracing::debug!(%error, count, "cannot receive a datagram");
                }
                false
            }
        }
    }

    /// Answers the received buffers. `received` is their number.
    fn answer(&mut self, received: usize) {
        let Self { socket, responder, io, data, .. } = self;
        let now = Instant::now();
        for request in 0..received {
            let needs_timestamps = responder.respond(io, request, now, data);
            if needs_timestamps && !self.has_timestamps {
                self.has_timestamps = true;
                DatagramIo::enable_timestamps(socket);
            }
        }
        let WorkerData { replies, totals, .. } = data;
        io.send(socket, replies, &mut |result| match result {
            SendResult::Accepted { datagrams } => totals.answered += datagrams,
            SendResult::Failed { datagrams, error } => {
                totals.replies_not_sent += datagrams;
                let count = totals.replies_not_sent;
                if should_log_batch(count, datagrams) {
                    tracing::warn!(%error, count, "cannot send a reply");
                }
            }
        });
        replies.clear();
    }
}

/// Whether `error` only means that no datagram was available: the queue was empty, the timeout expired, or a
/// signal interrupted the wait. SIGSTOP and SIGCONT interrupt the wait too.
fn is_without_datagram(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
