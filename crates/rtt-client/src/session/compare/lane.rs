//! One side of a comparison: a series that makes one exchange when it is told to.

use super::super::series::Series;
use super::super::{Held, RunError};
use crate::evidence::Windows;
use crate::system::TcpInfo;
use crate::transport::Traffic;
use crate::{Exchange, Failure, Outcome, Plan, SocketError, Summary};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A side, open.
pub(super) struct Lane {
    series: Series,
    held: Held,
    /// The exchanges that count.
    counted: Summary,
    traffic_before: Option<Traffic>,
    /// What the kernel said when counting began, and the smallest congestion window since.
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
pub(super) struct LaneEnd {
    pub(super) traffic: Option<Traffic>,
    pub(super) windows: Option<Windows>,
    pub(super) failure: Option<Failure>,
}

impl Lane {
    pub(super) fn open(plan: &Plan, address: SocketAddr) -> Result<Self, SocketError> {
        Ok(Self {
            series: Series::open(plan, address)?,
            held: Held::default(),
            counted: Summary::default(),
            traffic_before: None,
            info_before: None,
            smallest_window: None,
            unanswered_in_a_row: 0,
            answered: false,
            failure: None,
        })
    }

    /// Makes an exchange; nothing, if it was interrupted.
    pub(super) fn exchange(&mut self, stop: &AtomicBool) -> Result<Option<Once>, RunError> {
        self.series.once(&mut self.held, stop)?;
        let connection = self.held.connections.drain(..).next_back();
        let Some(exchange) = self.held.exchanges.drain(..).next_back() else { return Ok(None) };
        if let Some(handshake) = connection.and_then(|connection| connection.handshake()) {
            self.counted.connect.add(handshake);
        }
        self.counted.add(&exchange);
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

    /// From now on exchanges count.
    pub(super) fn begin_counting(&mut self) {
        self.counted = Summary::default();
        self.traffic_before = self.series.traffic();
        self.info_before = self.series.tcp_info();
        self.look_at_the_windows();
    }

    /// Looks at what the windows are now.
    pub(super) fn look_at_the_windows(&mut self) {
        let window = self.series.tcp_info().and_then(|info| info.congestion_window);
        self.smallest_window = match (self.smallest_window, window) {
            (Some(smallest), Some(window)) => Some(smallest.min(window)),
            (smallest, window) => smallest.or(window),
        };
    }

    /// Whether nothing is to be expected any more: nobody waits for the time-out again and again.
    pub(super) fn is_hopeless(&self, most_unanswered: u32) -> bool {
        (self.series.hopeless && !self.answered) || self.unanswered_in_a_row >= most_unanswered
    }

    /// Ends the side; its figures, and what else is known.
    pub(super) fn end(mut self, stop: &AtomicBool) -> Result<(Summary, LaneEnd), RunError> {
        self.look_at_the_windows();
        let traffic = self.series.traffic().zip(self.traffic_before);
        let windows = self.windows();
        let of_series = self.series.end(&mut self.held, stop)?;
        let end = LaneEnd {
            traffic: traffic.map(|(now, before)| now - before),
            windows,
            failure: self.failure,
        };
        let summary = Summary {
            duplicates: of_series.duplicates,
            out_of_order: of_series.out_of_order,
            late: of_series.late,
            strays: of_series.strays,
            sent_again: of_series.sent_again,
            tcp: of_series.tcp,
            unsplit: of_series.unsplit,
            notes: of_series.notes,
            ..self.counted
        };
        Ok((summary, end))
    }

    fn windows(&self) -> Option<Windows> {
        let now = self.series.tcp_info()?;
        let before = self.info_before.unwrap_or_default();
        // On a connection that has been replaced its own beginning counts.
        let since = |now: Option<Duration>, before: Option<Duration>| {
            let (now, before) = (now?, before.unwrap_or_default());
            Some(now.checked_sub(before).unwrap_or(now))
        };
        Some(Windows {
            congestion_window: self.smallest_window?,
            segment_bytes: now.segment_size?,
            limited_by_peer: since(now.limited_by_peer, before.limited_by_peer)?,
            limited_by_buffer: since(now.limited_by_buffer, before.limited_by_buffer)?,
            min_rtt: now.min_rtt,
        })
    }
}
