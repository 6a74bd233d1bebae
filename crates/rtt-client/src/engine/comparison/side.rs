//! [`SideRunner`]: one side of an experiment. The caller starts each exchange.

use super::windows::WindowObserver;
use crate::analysis::evidence::Windows;
use crate::analysis::statistics::Summary;
use crate::engine::run::RunError;
use crate::engine::series::{RunPosition, Series, full_queue};
use crate::engine::trial::RecordedEvents;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::model::format::{self, counted};
use crate::model::traffic::Traffic;
use crate::net::limitation::Limitation;
use crate::net::transport::SocketError;
use crate::plan::Plan;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// One side of an experiment.
pub(super) struct SideRunner<'a> {
    plan: Plan,
    address: SocketAddr,
    /// The open series of the current round.
    series: Option<Series<'a>>,
    recorded: RecordedEvents,
    /// Whether the exchanges of the current round count. The warm-up does not count.
    is_counting: bool,
    /// The summary of the counted exchanges.
    counted: Summary,
    /// The packet counts of the rounds that have ended, without their warm-up. `None` if the counts of one of these
    /// rounds are unknown.
    traffic: Option<Traffic>,
    /// The packet counts at the end of the warm-up of the current round.
    traffic_at_start: Option<Traffic>,
    windows: WindowObserver,
    replies: Replies,
    limitations: Vec<String>,
    handshakes: Handshakes,
}

/// The exchanges of a side that are handshakes, including those of the warm-up.
#[derive(Debug, Default)]
struct Handshakes {
    count: u64,
    /// The handshakes whose first connection request had no answer in time.
    repeated: u64,
}

/// The replies of a side so far.
#[derive(Default)]
struct Replies {
    has_replied: bool,
    missing_in_a_row: u32,
    last_failure: Option<Failure>,
}

/// The durations of one exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExchangeTimes {
    rtt: Option<Duration>,
    with_connection: Option<Duration>,
}

impl ExchangeTimes {
    /// The time from the request to the reply.
    pub(super) fn rtt(self) -> Option<Duration> {
        self.rtt
    }

    /// The time from the connection request to the reply. Without a new connection, the RTT.
    pub(super) fn with_connection(self) -> Option<Duration> {
        self.with_connection
    }
}

/// The result of one side.
pub(super) struct SideResult {
    pub(super) summary: Summary,
    pub(super) traffic: Option<Traffic>,
    pub(super) windows: Option<Windows>,
    pub(super) failure: Option<Failure>,
    /// The parts of the measurement that are missing or different.
    pub(super) limitations: Vec<String>,
}

impl<'a> SideRunner<'a> {
    pub(super) fn new(plan: &Plan, address: SocketAddr) -> Self {
        Self {
            plan: plan.clone(),
            address,
            series: None,
            recorded: RecordedEvents::default(),
            is_counting: false,
            counted: Summary::default(),
            traffic: Some(Traffic::default()),
            traffic_at_start: None,
            windows: WindowObserver::default(),
            replies: Replies::default(),
            limitations: Vec::new(),
            handshakes: Handshakes::default(),
        }
    }

    /// Opens the series of a round. Its exchanges count after a call of [`SideRunner::start_counting`].
    pub(super) fn open(
        &mut self,
        position: RunPosition,
        stop: &'a AtomicBool,
    ) -> Result<(), SocketError> {
        self.series = Some(Series::open(&self.plan, self.address, position, stop)?);
        Ok(())
    }

    /// Runs one exchange. Returns `None` if the exchange was interrupted.
    pub(super) fn exchange(
        &mut self,
        stop: &AtomicBool,
    ) -> Result<Option<ExchangeTimes>, RunError> {
        let Some(series) = &mut self.series else { return Ok(None) };
        series.once(&mut self.recorded, stop)?;
        let connection = self.recorded.connections.drain(..).next_back();
        let Some(exchange) = self.recorded.exchanges.drain(..).next_back() else { return Ok(None) };
        if self.plan.protocol.is_handshake() {
            self.handshakes.add(&exchange);
        }
        if self.is_counting {
            self.count(&exchange, connection.as_ref());
        }
        let rtt = exchange.rtt();
        let with_connection = match (&exchange.outcome, connection) {
            (Outcome::Reply { received, .. }, Some(connection)) => {
                Some(received.since(&connection.requested))
            }
            _ => rtt,
        };
        self.replies.note(exchange);
        Ok(Some(ExchangeTimes { rtt, with_connection }))
    }

    fn count(&mut self, exchange: &Exchange, connection: Option<&Connection>) {
        self.counted.add(exchange);
        if let Some(connection) = connection {
            self.counted.add_connection(connection);
        }
    }

    /// Ends the warm-up of the round. The following exchanges count.
    pub(super) fn start_counting(&mut self) {
        self.is_counting = true;
        let info = self.series.as_ref().and_then(Series::kernel_statistics);
        self.traffic_at_start = self.series.as_ref().and_then(Series::traffic);
        self.windows.start_round(info);
    }

    /// Reads the current windows of the connection.
    pub(super) fn observe_windows(&mut self) {
        self.windows.observe(self.series.as_ref().and_then(Series::kernel_statistics));
    }

    /// Whether further exchanges will probably have no reply. Either an error of the system indicates this, or the last
    /// `max_missing_in_a_row` exchanges had no correct reply.
    pub(super) fn is_unreachable(&self, max_missing_in_a_row: u32) -> bool {
        let is_reported = self.series.as_ref().is_some_and(Series::is_unreachable);
        (is_reported && !self.replies.has_replied)
            || self.replies.missing_in_a_row >= max_missing_in_a_row
    }

    /// Ends the round.
    pub(super) fn close(&mut self, stop: &AtomicBool) -> Result<(), RunError> {
        self.is_counting = false;
        let Some(series) = self.series.take() else { return Ok(()) };
        self.windows.end_round(series.kernel_statistics());
        self.limitations.extend(series.limitations().iter().map(Limitation::to_string));
        self.traffic = match (self.traffic, series.traffic(), self.traffic_at_start) {
            (Some(earlier), Some(now), Some(start)) => Some(earlier + (now - start)),
            _ => None,
        };
        let round = series.end(&mut self.recorded, stop)?;
        // The first reply selects the form for all rounds.
        if let Some(form) = round.reply_form {
            self.plan.payload.expect_form(form);
        }
        self.counted.add_round(&round);
        Ok(())
    }

    /// The note about handshakes whose first connection request had no answer in time. `name` is the name of the side.
    pub(super) fn repeated_handshakes(&self, name: &str) -> Option<String> {
        let Handshakes { count, repeated: repeated @ 1.. } = self.handshakes else { return None };
        Some(format!(
            "{name}: in {} of {} (with the warm-up), the first connection request had no answer, so the client sent it \
             again. {}",
            format::count(repeated),
            counted(count, "handshake", "handshakes"),
            full_queue(self.plan.pacing)
        ))
    }

    pub(super) fn into_result(self) -> SideResult {
        SideResult {
            summary: self.counted,
            traffic: self.traffic,
            windows: self.windows.result(),
            failure: self.replies.last_failure,
            limitations: self.limitations,
        }
    }
}

impl Handshakes {
    fn add(&mut self, exchange: &Exchange) {
        self.count += 1;
        let is_silent = matches!(&exchange.outcome,
            Outcome::Lost(failure) if failure.condition == Condition::Silent);
        let is_repeated = exchange.retransmitted.is_some_and(|repeated| repeated.segments > 0);
        self.repeated += u64::from(is_silent || is_repeated);
    }
}

impl Replies {
    fn note(&mut self, exchange: Exchange) {
        match exchange.outcome {
            Outcome::Reply { .. } => {
                self.has_replied = true;
                self.missing_in_a_row = 0;
            }
            Outcome::Lost(failure) | Outcome::Error(failure) | Outcome::Corrupt { failure, .. } => {
                self.missing_in_a_row += 1;
                self.last_failure = Some(failure);
            }
        }
    }
}
