//! [`Trial`]: one exchange with an address. It stores its events. The caller reports them after the selection of an
//! address.

use super::run::RunError;
use super::series::{FirstChannel, RunPosition, Series, Sink};
use crate::analysis::statistics::Summary;
use crate::model::address_change::AddressChange;
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::plan::Plan;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tracing::debug;

/// The events of a series, stored until they are processed.
#[derive(Default)]
pub(in crate::engine) struct RecordedEvents {
    pub(in crate::engine) connections: Vec<Connection>,
    pub(in crate::engine) exchanges: Vec<Exchange>,
}

impl Sink for RecordedEvents {
    fn connection(&mut self, connection: Connection) -> io::Result<()> {
        self.connections.push(connection);
        Ok(())
    }

    fn address_changed(&mut self, _: &AddressChange) -> io::Result<()> {
        // Only the run of one target looks up its name again.
        Ok(())
    }

    fn exchange(&mut self, exchange: Exchange) -> io::Result<()> {
        self.exchanges.push(exchange);
        Ok(())
    }

    fn progress(&mut self, _: &Summary, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn idle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One exchange with an address.
pub(super) struct Trial {
    pub(super) connections: Vec<Connection>,
    /// `None` after an interruption.
    pub(super) exchange: Option<Exchange>,
    pub(super) local: Option<SocketAddr>,
    pub(super) summary: Summary,
    duration: Duration,
}

impl Trial {
    /// Opens a channel and makes one exchange. `plan` must be a plan for one exchange. When `stop` is set, the exchange ends.
    pub(super) fn run(
        plan: &Plan,
        address: SocketAddr,
        stop: &AtomicBool,
    ) -> Result<Self, RunError> {
        debug!(protocol = plan.protocol.name, %address, "trying address");
        let first = FirstChannel::open(plan, address, RunPosition::Start, stop)?;
        Self::run_on(first, plan, address, stop)
    }

    /// Makes one exchange on a channel.
    pub(super) fn run_on(
        first: FirstChannel,
        plan: &Plan,
        address: SocketAddr,
        stop: &AtomicBool,
    ) -> Result<Self, RunError> {
        let start = Instant::now();
        let series = Series::with_channel(plan, address, first, stop);
        let local = series.local();
        let mut events = RecordedEvents::default();
        let summary = series.run(&mut events, stop)?;
        let RecordedEvents { connections, mut exchanges } = events;
        let exchange = exchanges.pop();
        if let Some(exchange) = &exchange {
            let condition = exchange.outcome.failure().map(|failure| failure.condition);
            let condition = condition.map(tracing::field::display);
            let outcome = exchange.outcome.name();
            debug!(protocol = plan.protocol.name, %address, %outcome, condition, "tried address");
        }
        Ok(Self { connections, exchange, local, summary, duration: start.elapsed() })
    }

    /// Whether the address answers. A wrong reply is an answer.
    pub(super) fn is_answered(&self) -> bool {
        let outcome = self.exchange.as_ref().map(|exchange| &exchange.outcome);
        matches!(outcome, Some(Outcome::Reply { .. } | Outcome::Corrupt { .. }))
    }

    /// The failure, if the address does not answer. An exchange that was interrupted has no answer so far.
    pub(super) fn into_failure(self) -> Option<Failure> {
        match self.exchange.map(|exchange| exchange.outcome) {
            Some(Outcome::Lost(failure) | Outcome::Error(failure)) => Some(failure),
            Some(Outcome::Reply { .. } | Outcome::Corrupt { .. }) => None,
            None => Some(Failure::new(Condition::Silent, self.duration)),
        }
    }
}
