//! One worker: a thread that accepts connections and answers their requests.
//!
//! # The loop
//!
//! All sockets of a worker are non-blocking and registered with one [`Poller`] (on Linux, one epoll instance). The
//! worker repeats these actions:
//!
//! 1. It waits in the kernel. The wait ends when a socket is ready, when action 3, 4 or 5 is due, or when another
//!    thread requests the shutdown.
//! 2. It adds each connection with an event to the connections that need a *step*. A step reads once (at most
//!    [`crate::limits::READ_SIZE`] bytes), converts the text to upper case, and sends the reply. The kernel may accept
//!    only a part of the reply. Then the connection stores the rest, and does not read again until the kernel has
//!    accepted the rest.
//! 3. It runs a limited number of steps ([`ConnectionTable::run_steps`]). While connections need further steps, action
//!    1 does not sleep.
//! 4. The worker closes the connections that have lost their slots ([`crate::slots`]), and accepts new connections.
//!    After an error, it pauses before the next attempt.
//! 5. Once in each tick, it closes the connections with an expired timeout ([`crate::timeouts`]).
//!
//! # Fairness
//!
//! All sources receive the same service ([`crate::fair_queue`]). A source is an IPv4 address or an IPv6 /64 network
//! ([`echo_service::Source`]). The number of its connections does not matter: the next step belongs to the source that
//! has used the least service. So a request of a source without other requests waits for these actions:
//!
//! - the steps until the next action 1, because the worker does not detect the request earlier
//! - at most one batch of new connections for each listener
//! - steps of other sources that have used the same service or less: usually none
//!
//! A connection that waits for the rate limit of its source needs no work until the source has a token
//! ([`crate::rate_waits`]).
//!
//! # Edge-triggered readiness
//!
//! epoll reports each arrival of data once (epoll(7), "Edge-triggered"). It also reports once when space in the send
//! buffer becomes free. It does not report the same data or the same space again. So the worker registers each socket
//! only once, for reading and writing. A request needs no system call that changes the registration.
//!
//! If a step leaves data in the receive buffer, no event reports this data. The connection therefore needs another step
//! ([`crate::connection::NextAction::StepAgain`]).
//!
//! # Why the workers do not use tokio
//!
//! A tokio task for each connection costs memory. The module `workers` of the crate `echo-service` contains the
//! measurement. A [`crate::connection::Connection`] takes at most 64 bytes. A task also costs time: each request would
//! pass through tokio's reactor and scheduler, and the client would measure this time. These costs do not matter on the
//! main thread. There, tokio handles signals and waits for the workers (`echo_service::run_workers`).

use crate::Config;
use crate::acceptor::{Acceptor, FIRST_LISTENER};
use crate::connection_table::ConnectionTable;
use crate::limits::SHUTDOWN_TIMEOUT;
use crate::poller::Poller;
use crate::slots::ConnectionSlots;
use crate::totals::Totals;
use echo_service::{RateLimit, WorkerFailure, WorkerState};
use std::time::{Duration, Instant};

/// At the start of the shutdown, the worker accepts the queued connections for at most this time.
const SHUTDOWN_ACCEPT_TIMEOUT: Duration = SHUTDOWN_TIMEOUT.checked_div(4).unwrap();

/// Maximum duration of a shutdown if all remaining connections only wait for the peer's close. This time is enough for
/// one or two round trips around the world.
const PEER_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Accepts and serves connections until `state` requests the shutdown. Then answers the data that has arrived.
///
/// # Errors
///
/// [`WorkerFailure`] if a listener or the poller has a permanent error. The worker then closes its connections. The
/// totals contain these closes.
pub(crate) fn run(
    mut acceptor: Acceptor,
    mut poller: Poller,
    slots: &ConnectionSlots,
    number: usize,
    rate_limit: &RateLimit,
    config: &Config,
    state: &WorkerState<Totals>,
) -> Result<(), WorkerFailure> {
    let mut table = ConnectionTable::new(slots, number, rate_limit, config);
    let mut result = serve(&mut acceptor, &mut poller, &mut table, slots, config, state);
    if result.is_ok() {
        result = finish(acceptor, &mut poller, &mut table, slots, config);
    }
    table.close_all();
    state.publish_totals(table.totals());
    result
}

/// Accepts and serves connections until `state` requests the shutdown.
fn serve(
    acceptor: &mut Acceptor,
    poller: &mut Poller,
    table: &mut ConnectionTable<'_>,
    slots: &ConnectionSlots,
    config: &Config,
    state: &WorkerState<Totals>,
) -> Result<(), WorkerFailure> {
    let mut next_tick = Instant::now();
    while !state.is_shutting_down() {
        if table.is_idle() {
            let now = Instant::now();
            let until_tick = (!table.is_empty()).then(|| next_tick.saturating_duration_since(now));
            let timeouts = [acceptor.wait_timeout(now), table.wait_timeout(now), until_tick];
            poller.wait(timeouts.into_iter().flatten().min())?;
        } else {
            poller.wait(Some(Duration::ZERO))?;
        }

        let now = Instant::now();
        let mut events = poller.events().peekable();
        while let Some(readiness) = events.next() {
            if readiness.token >= FIRST_LISTENER {
                acceptor.set_ready(readiness.token);
            } else if events.peek().is_none() && table.is_idle() {
                table.handle_only_event(readiness, now);
            } else {
                table.handle_event(readiness);
            }
        }
        if poller.has_more() {
            // Detects all new requests soon. Then the next step can belong to any of their sources.
            table.run_next_step(now);
        } else {
            table.run_steps(now);
        }
        table.close_replaced();
        acceptor.accept(now, slots, config, table, poller)?;
        if now >= next_tick {
            next_tick = now + table.tick_length();
            table.close_timed_out();
        }
        state.publish_totals(table.totals());
    }
    Ok(())
}

/// Accepts the queued connections, and answers the data that has arrived.
fn finish(
    mut acceptor: Acceptor,
    poller: &mut Poller,
    table: &mut ConnectionTable<'_>,
    slots: &ConnectionSlots,
    config: &Config,
) -> Result<(), WorkerFailure> {
    let start = Instant::now();
    // The kernel has completed the handshakes of the queued connections. Their first requests may have arrived.
    acceptor.set_all_ready();
    while acceptor.can_accept_more() && start.elapsed() < SHUTDOWN_ACCEPT_TIMEOUT {
        acceptor.accept(Instant::now(), slots, config, table, poller)?;
    }
    drop(acceptor);
    table.begin_shutdown();
    loop {
        let now = Instant::now();
        table.run_steps(now);
        let timeout =
            if table.is_awaiting_peers_only() { PEER_CLOSE_TIMEOUT } else { SHUTDOWN_TIMEOUT };
        let remaining = (start + timeout).saturating_duration_since(now);
        if table.is_empty() || remaining.is_zero() {
            return Ok(());
        }
        poller.wait(Some(table.wait_timeout(now).unwrap_or(remaining).min(remaining)))?;
        for readiness in poller.events() {
            table.handle_event(readiness);
        }
    }
}
