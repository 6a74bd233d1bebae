//! The loop of a worker: receive datagrams, answer them, and check for the shutdown.

use crate::Totals;
use crate::datagram_io::{DatagramIo, SendResult, Wait};
use crate::responder::{Responder, WorkerData};
use echo_service::{WorkerFailure, WorkerState, is_permanent_error, should_log, should_log_batch};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
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
///
/// # Errors
///
/// [`WorkerFailure`] if the socket has a permanent error. The worker then answers no more datagrams.
pub(crate) fn run(
    socket: UdpSocket,
    responder: &Responder,
    busy_poll: Duration,
    state: &WorkerState<Totals>,
) -> Result<(), WorkerFailure> {
    // A wrong descriptor has no address, and the first receive call then returns the error.
    let address = socket.local_addr().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
    let mut server = Server {
        socket,
        address,
        responder,
        io: DatagramIo::new(),
        data: WorkerData::new(Instant::now()),
        consecutive_errors: 0,
        has_timestamps: false,
    };
    let result = server.serve(busy_poll, state).and_then(|()| server.answer_remaining());
    state.publish_totals(&server.data.totals);
    result
}

struct Server<'a> {
    socket: UdpSocket,
    /// The address of the socket.
    address: SocketAddr,
    responder: &'a Responder,
    io: DatagramIo,
    data: WorkerData,
    consecutive_errors: u32,
    /// Whether kernel timestamps are enabled.
    has_timestamps: bool,
}

impl Server<'_> {
    fn serve(
        &mut self,
        busy_poll: Duration,
        state: &WorkerState<Totals>,
    ) -> Result<(), WorkerFailure> {
        let mut last_request = Instant::now();
        while !state.is_shutting_down() {
            let is_polling = !busy_poll.is_zero() && last_request.elapsed() < busy_poll;
            let wait = if is_polling { Wait::No } else { Wait::UntilTimeout };
            if self.receive_and_answer(wait)? && !busy_poll.is_zero() {
                last_request = Instant::now();
            }
            if self.consecutive_errors >= MAX_CONSECUTIVE_ERRORS {
                std::thread::sleep(PAUSE_AFTER_ERRORS);
            }
            state.publish_totals(&self.data.totals);
        }
        Ok(())
    }

    /// Answers the datagrams that arrived before the shutdown.
    fn answer_remaining(&mut self) -> Result<(), WorkerFailure> {
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        while self.receive_and_answer(Wait::No)?
            || (1..MAX_CONSECUTIVE_ERRORS).contains(&self.consecutive_errors)
        {
            if Instant::now() > deadline {
                tracing::warn!(
                    "cannot answer all remaining datagrams: more datagrams arrived during the shutdown"
                );
                break;
            }
        }
        Ok(())
    }

    /// Receives datagrams and answers them. Returns whether it received any.
    fn receive_and_answer(&mut self, wait: Wait) -> Result<bool, WorkerFailure> {
        match self.io.receive(&self.socket, wait) {
            // After a shutdown(2) of the socket, each call returns empty buffers without a source, and no error.
            Ok(received) if (0..received).all(|index| self.io.meta(index).is_none()) => {
                self.data.totals.receive_errors += 1;
                Err(self.failure(ErrorKind::NotConnected.into()))
            }
            Ok(received) => {
                self.consecutive_errors = 0;
                self.answer(received);
                Ok(true)
            }
            Err(error) if is_without_datagram(&error) => {
                self.consecutive_errors = 0;
                Ok(false)
            }
            Err(error) if is_permanent_error(&error) => {
                self.data.totals.receive_errors += 1;
                Err(self.failure(error))
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
                Ok(false)
            }
        }
    }

    fn failure(&self, source: io::Error) -> WorkerFailure {
        WorkerFailure::Receive { address: self.address, source }
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::admission::AdmissionPolicy;
    use echo_service::{AllowedNetworks, RateLimit};
    use std::fs::File;
    use std::os::fd::OwnedFd;

    #[test]
    fn descriptor_that_is_not_a_socket_ends_the_worker_with_an_error() {
        let null = File::open("/dev/null").unwrap();
        let policy = AdmissionPolicy {
            allowed: AllowedNetworks::default(),
            rate: RateLimit::new(None),
            own_ports: Vec::new(),
        };
        let responder = Responder { policy, show_messages: false };
        let state = WorkerState::default();
        let result = run(UdpSocket::from(OwnedFd::from(null)), &responder, Duration::ZERO, &state);
        let Err(WorkerFailure::Receive { source, .. }) = result else { panic!("{result:?}") };
        assert!(is_permanent_error(&source), "{source}");
    }
}
