//! One side of a comparison: a series that makes one exchange when it is told to.

use crate::analysis::evidence::Windows;
use crate::analysis::statistics::Summary;
use crate::engine::run::{RecordedEvents, RunError};
use crate::engine::series::Series;
use crate::model::condition::Failure;
use crate::model::exchange::{Exchange, Outcome};
use crate::model::tcp_info::TcpInfo;
use crate::model::traffic::Traffic;
use crate::net::transport::SocketError;
use crate::plan::Plan;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A side.
pub(super) struct SideRunner {
    plan: Plan,
    address: SocketAddr,
    /// The way to the peer, while it is open.
    series: Option<Series>,
    held: RecordedEvents,
    /// The exchanges that count, and whether the next one does.
    counted: Summary,
    counts: bool,
    /// What crossed the wire in the rounds that are over, where that is known of all of them, and
    /// before this one's exchanges counted.
    traffic: Option<Traffic>,
    traffic_before: Option<Traffic>,
    /// The windows in the rounds that are over, what the kernel said when this one's exchanges began to
    /// count, and the smallest congestion window since.
    windows: Option<Windows>,
    info_before: Option<TcpInfo>,
    smallest_window: Option<u32>,
    unanswered_in_a_row: u32,
    answered: bool,
    failure: Option<Failure>,
}

/// One exchange's times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once {
    rtt: Option<Duration>,
    with_connection: Option<Duration>,
}

impl Once {
    /// From the request to the reply.
    pub(super) fn rtt(self) -> Option<Duration> {
        self.rtt
    }

    /// From the connection request to the reply, where there was one.
    pub(super) fn with_connection(self) -> Option<Duration> {
        self.with_connection
    }
}

/// What is left of a side beside its figures.
pub(super) struct SideResult {
    pub(super) traffic: Option<Traffic>,
    pub(super) windows: Option<Windows>,
    pub(super) failure: Option<Failure>,
}

impl SideRunner {
    pub(super) fn new(plan: &Plan, address: SocketAddr) -> Self {
        Self {
            plan: plan.clone(),
            address,
            series: None,
            held: RecordedEvents::default(),
            counted: Summary::default(),
            counts: false,
            traffic: Some(Traffic::default()),
            traffic_before: None,
            windows: None,
            info_before: None,
            smallest_window: None,
            unanswered_in_a_row: 0,
            answered: false,
            failure: None,
        }
    }

    /// Opens the way to the peer for a round; what it then makes does not count yet.
    pub(super) fn open(&mut self) -> Result<(), SocketError> {
        self.series = Some(Series::open(&self.plan, self.address)?);
        Ok(())
    }

    /// Makes an exchange; nothing, if it was interrupted.
    pub(super) fn exchange(&mut self, stop: &AtomicBool) -> Result<Option<Once>, RunError> {
        let Some(series) = &mut self.series else { return Ok(None) };
        series.once(&mut self.held, stop)?;
        let connection = self.held.connections.drain(..).next_back();
        let Some(exchange) = self.held.exchanges.drain(..).next_back() else { return Ok(None) };
        if self.counts {
            self.counted.add(&exchange);
            if let Some(handshake) = connection.and_then(|connection| connection.handshake()) {
                self.counted.connect.add(handshake);
            }
        }
        let rtt = exchange.rtt();
        let with_connection = match (&exchange.outcome, connection) {
            (Outcome::Reply { received, .. }, Some(made)) => Some(received.since(&made.requested)),
            _ => rtt,
        };
        self.note(exchange);
        Ok(Some(Once { rtt, with_connection }))
    }

    fn note(&mut self, exchange: Exchange) {
        match exchange.outcome {
            Outcome::Reply { .. } => {
                self.answered = true;
                self.unanswered_in_a_row = 0;
            }
            Outcome::Lost(failure) | Outcome::Error(failure) | Outcome::Corrupt { failure, .. } => {
                self.unanswered_in_a_row += 1;
                self.failure = Some(failure);
            }
        }
    }

    /// From now on this round's exchanges count.
    pub(super) fn begin_counting(&mut self) {
        self.counts = true;
        if let Some(series) = &self.series {
            self.traffic_before = series.traffic();
            self.info_before = series.tcp_info();
        }
        self.look_at_the_windows();
    }

    /// Looks at what the windows are now.
    pub(super) fn look_at_the_windows(&mut self) {
        let info = self.series.as_ref().and_then(Series::tcp_info);
        let window = info.and_then(|info| info.congestion_window);
        self.smallest_window = smaller(self.smallest_window, window);
    }

    /// Whether nothing is to be expected any more: nobody waits for the time-out again and again.
    pub(super) fn is_unreachable(&self, most_unanswered: u32) -> bool {
        let unreachable = self.series.as_ref().is_some_and(Series::is_unreachable);
        (unreachable && !self.answered) || self.unanswered_in_a_row >= most_unanswered
    }

    /// Ends a round.
    pub(super) fn close(&mut self, stop: &AtomicBool) -> Result<(), RunError> {
        self.look_at_the_windows();
        self.counts = false;
        let Some(series) = self.series.take() else { return Ok(()) };
        self.traffic = match (self.traffic, series.traffic(), self.traffic_before) {
            (Some(rounds), Some(now), Some(before)) => Some(rounds + (now - before)),
            _ => None,
        };
        self.windows = match (self.windows, self.windows_of(&series)) {
            (Some(rounds), Some(this)) => Some(rounds.and(this)),
            (rounds, this) => rounds.or(this),
        };
        let of_series = series.end(&mut self.held, stop)?;
        let counted = &mut self.counted;
        counted.duplicates += of_series.duplicates;
        counted.out_of_order += of_series.out_of_order;
        counted.late += of_series.late;
        counted.unmatched += of_series.unmatched;
        counted.resent += of_series.resent;
        counted.without_breakdown += of_series.without_breakdown;
        counted.tcp =
            of_series.tcp.map(|info| info.with_earlier_connections(counted.tcp)).or(counted.tcp);
        Ok(())
    }

    /// The side's figures, and what else is known.
    pub(super) fn end(self) -> (Summary, SideResult) {
        let Self { traffic, windows, failure, counted, .. } = self;
        (counted, SideResult { traffic, windows, failure })
    }

    fn windows_of(&self, series: &Series) -> Option<Windows> {
        let now = series.tcp_info()?;
        let before = self.info_before.unwrap_or_default();
        // On a connection that has been replaced its own beginning counts.
        let since = |now: Option<Duration>, before: Option<Duration>| {
            let (now, before) = (now?, before.unwrap_or_default());
            Some(now.checked_sub(before).unwrap_or(now))
        };
        Some(Windows {
            min_congestion_window: self.smallest_window?,
            segment_bytes: now.segment_size?,
            limited_by_peer: since(now.limited_by_peer, before.limited_by_peer)?,
            limited_by_buffer: since(now.limited_by_buffer, before.limited_by_buffer)?,
            min_rtt: now.min_rtt,
        })
    }
}

impl Windows {
    /// This round's and another's.
    fn and(self, other: Self) -> Self {
        Self {
            min_congestion_window: self.min_congestion_window.min(other.min_congestion_window),
            segment_bytes: self.segment_bytes.min(other.segment_bytes),
            limited_by_peer: self.limited_by_peer + other.limited_by_peer,
            limited_by_buffer: self.limited_by_buffer + other.limited_by_buffer,
            min_rtt: smaller(self.min_rtt, other.min_rtt),
        }
    }
}

/// The smaller of two, or the one that there is.
fn smaller<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
