//! One worker: a thread that accepts connections and answers their requests.
//!
//! # The loop
//!
//! All sockets of a worker are non-blocking and registered with one [`Poller`] (on Linux, one epoll instance). The
//! worker repeats these steps:
//!
//! 1. It waits in the kernel until a socket is ready, until a timer of its own expires (see 3, 4 and 5), or until
//!    another thread wakes it to shut down.
//! 2. For each event of a connection, the connection takes one *step*: it reads once, at most
//!    [`crate::limits::READ_SIZE`] bytes, converts the text to upper case, and sends the reply. If the kernel does not
//!    accept the whole reply, the connection keeps the rest, and reads nothing until the kernel has accepted it.
//! 3. Connections that need more work without a new event take one step each. A step is short, and each connection
//!    takes only a few steps before the worker returns to 1, so a peer that sends much data does not delay the others.
//! 4. The worker accepts new connections. After an error, it pauses before it tries again.
//! 5. Once in each tick, it closes the connections whose timeout has expired ([`crate::timeouts`]).
//!
//! # Edge-triggered readiness
//!
//! epoll reports a socket once when data arrives or when space in the send buffer becomes free, not as long as there
//! is data or space (epoll(7), "Edge-triggered"). Each socket is therefore registered once, for both directions, and a
//! request needs no system call to change the registration. The price is an obligation: if a step leaves data in the
//! receive buffer, epoll does not report this data again. Such a connection goes to the list of runnable connections
//! ([`crate::step::NextAction::StepAgain`]), and the worker does not sleep while this list has entries.
//!
//! # Why the workers do not use tokio
//!
//! A worker waits in the kernel itself instead of running one tokio task for each connection. A task costs memory: 895
//! bytes for an idle connection in the smallest possible task (measured with 15,000 connections), where a
//! [`crate::connection::Connection`] takes at most 64 bytes. It also costs time: each request would pass through the reactor
//! and the scheduler, and the client would measure that time. tokio runs on the main thread, where neither matters: it
//! handles signals and deadlines and waits for the workers (`echo_service::run_workers`).

use crate::Config;
use crate::acceptor::{Acceptor, FIRST_LISTENER};
use crate::connection_limit::ConnectionLimit;
use crate::connection_table::ConnectionTable;
use crate::limits::SHUTDOWN_TIMEOUT;
use crate::poller::Poller;
use crate::totals::Totals;
use echo_service::{RateLimit, WorkerState};
use std::time::{Duration, Instant};

/// The part of [`SHUTDOWN_TIMEOUT`] in which the worker accepts connections that wait in the queues of the listeners.
const SHUTDOWN_ACCEPT_TIMEOUT: Duration = SHUTDOWN_TIMEOUT.checked_div(4).unwrap();

/// The part of [`SHUTDOWN_TIMEOUT`] in which connections with a complete reply stay open for the close by the peer:
/// one or two round trips around the world.
const PEER_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Accepts and serves connections until `state` requests the shutdown, then answers the data that has arrived.
pub(crate) fn run(
    mut acceptor: Acceptor,
    mut poller: Poller,
    connection_limit: &ConnectionLimit,
    rate_limit: &RateLimit,
    config: &Config,
    state: &WorkerState<Totals>,
) {
    let mut table = ConnectionTable::new(connection_limit, rate_limit, config);
    let mut next_tick = Instant::now();
    while !state.is_shutting_down() {
        let now = Instant::now();
        let until_tick = (!table.is_empty()).then(|| next_tick.saturating_duration_since(now));
        let timeouts = [acceptor.wait_timeout(now), table.wait_timeout(now), until_tick];
        poller.wait(timeouts.into_iter().flatten().min());

        let now = Instant::now();
        for readiness in poller.events() {
            if readiness.token >= FIRST_LISTENER {
                acceptor.set_ready(readiness.token);
            } else {
                table.handle_event(readiness, now);
            }
        }
        table.step_without_events(now);
        acceptor.accept(now, connection_limit, config, &mut table, &poller);
        if now >= next_tick {
            next_tick = now + table.tick_length();
            table.close_timed_out();
        }
        state.publish_totals(table.totals());
    }

    let start = Instant::now();
    // The kernel has completed the handshakes of queued connections, and their first request can already be here.
    acceptor.set_all_ready();
    while acceptor.can_accept_more() && start.elapsed() < SHUTDOWN_ACCEPT_TIMEOUT {
        acceptor.accept(Instant::now(), connection_limit, config, &mut table, &poller);
    }
    drop(acceptor);
    finish_connections(&mut table, &mut poller, start);
    state.publish_totals(table.totals());
}

/// Answers the data that has arrived, and closes all connections. `start` is the start of the shutdown.
fn finish_connections(table: &mut ConnectionTable<'_>, poller: &mut Poller, start: Instant) {
    table.begin_shutdown();
    loop {
        let now = Instant::now();
        table.step_without_events(now);
        let timeout =
            if table.is_awaiting_peers_only() { PEER_CLOSE_TIMEOUT } else { SHUTDOWN_TIMEOUT };
        let remaining = (start + timeout).saturating_duration_since(now);
        if table.is_empty() || remaining.is_zero() {
            break;
        }
        poller.wait(Some(table.wait_timeout(now).unwrap_or(remaining).min(remaining)));
        for readiness in poller.events() {
            table.handle_event(readiness, Instant::now());
        }
    }
    table.close_all();
}
