//! The server's life: workers accept and answer connections until they are told to end.

use crate::Totals;
use crate::acceptor::Acceptor;
use crate::admission::Admission;
use crate::poller::Poller;
use crate::worker;
use echo_service::{AllowedNetworks, RateLimit, Signals, Worker, WorkerState, run_workers};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Log each piece of text as it is answered.
    pub show_messages: bool,
    /// How long a worker looks for work again and again before it sleeps.
    pub busy_poll: Duration,
    /// Who is answered.
    pub allowed: AllowedNetworks,
    /// Pieces of text a second from one source at most; 0: no limit. None: [`RateLimit::new`]'s default.
    pub rate: Option<u32>,
    /// Connections at most, in all.
    pub connections: usize,
    /// Connections of one source at most; 0: no limit. None: 256, and no limit for loopback addresses.
    pub connections_per_source: Option<usize>,
    /// How long a connection may say nothing; zero: for ever.
    pub idle: Duration,
    /// How long a reply may wait for its peer to read, or a timed message for its end; zero: for ever.
    pub stall: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            show_messages: false,
            busy_poll: Duration::ZERO,
            allowed: AllowedNetworks::default(),
            rate: None,
            // What 1 KiB each makes 16 MiB of, and the system's own share of them some 100.
            connections: 16_384,
            connections_per_source: None,
            // Longer than anybody thinks about the next request to type; a client whose interval is longer
            // connects again.
            idle: Duration::from_mins(5),
            // TCP itself gives a segment several tries in this time (RFC 6298).
            stall: Duration::from_secs(30),
        }
    }
}

/// Answers the connections that come to the listeners until `signals` say to end; then what open ones have
/// already sent, and returns. Each of the sets of listeners gets a worker of its own. No peer and no error
/// ends it earlier.
///
/// # Errors
///
/// If the system does not give what it takes to begin.
///
/// # Panics
///
/// Only if the code that answers does.
pub async fn serve(
    sets: Vec<Vec<TcpListener>>,
    config: Config,
    signals: Signals,
) -> io::Result<Totals> {
    let admission = Arc::new(Admission::new(config.connections, config.connections_per_source));
    let rate = Arc::new(RateLimit::new(config.rate));
    let mut workers = Vec::new();
    for listeners in sets {
        let poller = Poller::new(config.busy_poll)?;
        let waker = poller.waker();
        let (admission, rate) = (Arc::clone(&admission), Arc::clone(&rate));
        let acceptor = Acceptor::new(listeners, &poller)?;
        let config = config.clone();
        let run = move |state: &WorkerState<Totals>| {
            worker::run(acceptor, poller, &admission, &rate, &config, state);
        };
        let wake = move || {
            if let Err(error) = waker.wake() {
                tracing::error!(%error, "a worker could not be told to end");
            }
        };
        workers.push(Worker { run: Box::new(run), wake: Box::new(wake) });
    }
    run_workers(workers, &signals).await.map_err(io::Error::other)
}
