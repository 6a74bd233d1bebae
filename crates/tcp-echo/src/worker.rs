//! One worker: it waits, accepts, and gives each connection a step when there is something to do for it.

use crate::Config;
use crate::acceptor::{Acceptor, FIRST_LISTENER};
use crate::admission::Admission;
use crate::poller::Poller;
use crate::room::Room;
use crate::totals::Totals;
use echo_service::{RateLimit, WorkerState};
use std::time::{Duration, Instant};

/// How long open connections have at the end to be answered what had arrived. A peer that reads takes
/// milliseconds; one that does not would take for ever.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How long, of that, connections that have been answered stay open for their peers to see it: a round trip or two
/// around the world.
const LINGER: Duration = Duration::from_millis(500);

/// Serves what `acceptor` accepts, until the state says to end; then what has already arrived.
pub(crate) fn run(
    mut acceptor: Acceptor,
    mut poller: Poller,
    admission: &Admission,
    rate: &RateLimit,
    config: &Config,
    state: &WorkerState<Totals>,
) {
    let mut room = Room::new(admission, rate, config);
    let mut next_round = Instant::now();
    while !state.is_shutting_down() {
        let now = Instant::now();
        let round = (!room.is_empty()).then(|| next_round.saturating_duration_since(now));
        let patience = [acceptor.patience(now), room.patience(now), round];
        poller.wait(patience.into_iter().flatten().min());

        let now = Instant::now();
        for told in poller.events() {
            if told.token >= FIRST_LISTENER {
                acceptor.is_ready(told.token);
            } else {
                room.told(told, now);
            }
        }
        room.go_on(now);
        acceptor.accept(now, admission, config, &mut room, &poller);
        if now >= next_round {
            next_round = now + room.between_rounds();
            room.close_overdue();
        }
        state.publish_totals(room.totals());
    }

    // Connections that the kernel has completed may have brought their request along.
    let begun = Instant::now();
    let enough = begun + LAST_ANSWERS;
    acceptor.look_at_all();
    while acceptor.may_have_more() && Instant::now() < begun + LAST_ANSWERS / 4 {
        acceptor.accept(Instant::now(), admission, config, &mut room, &poller);
    }
    drop(acceptor);
    room.begin_end();
    loop {
        let now = Instant::now();
        room.go_on(now);
        let until = if room.is_lingering() { begun + LINGER } else { enough };
        if room.is_empty() || now >= until {
            break;
        }
        let patience = room.patience(now).unwrap_or(until - now);
        poller.wait(Some(patience.min(until - now)));
        for told in poller.events() {
            room.told(told, Instant::now());
        }
    }
    room.cut();
    state.publish_totals(room.totals());
}
