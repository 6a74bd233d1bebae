//! Carrying a plan out: resolve, try the addresses in turn, exchange, and tell it all to a report.

use crate::report::{Attempt, Event, Start};
use crate::resolve::resolve;
use crate::transport::Opening;
use crate::{
    Condition, Connection, Exchange, Failure, Outcome, Plan, Report, SocketError, Summary,
};
use std::net::SocketAddr;
use std::{io, time::Instant};

/// Why a plan could not be carried out. What the peer and the network do is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system would not do what measuring needs.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The report could not be written.
    #[error("writing the report: {0}")]
    Report(#[from] io::Error),
}

/// Carries `plan` out and tells `report` what happens. Returns the figures.
///
/// A name's addresses are tried in turn, until one answers; that one is measured, or the last.
///
/// # Errors
///
/// [`RunError`]; a server that is not there is an [`Outcome`], and no error.
pub fn run(plan: &Plan, report: &mut dyn Report) -> Result<Summary, RunError> {
    let begun = Instant::now();
    let mut summary = Summary::default();
    match resolve(&plan.target.host, plan.port(), plan.family, plan.timeout) {
        Ok(addresses) => {
            let (attempts, reached) = reach(plan, &addresses)?;
            tell(plan, &attempts, &reached, &mut summary, report)?;
        }
        Err(unresolved) => {
            report.event(&Event::Start(&Start::new(plan, None, None)))?;
            let exchange = never_sent(Failure {
                condition: unresolved.condition,
                error: None,
                after: begun.elapsed(),
                detail: Some(unresolved.reason),
            });
            summary.add(&exchange);
            report.event(&Event::Exchange(&exchange))?;
        }
    }
    summary.duration = begun.elapsed();
    report.event(&Event::Summary(plan, &summary))?;
    Ok(summary)
}

/// An address, and how the exchange with it went.
struct Reached {
    address: SocketAddr,
    local: Option<SocketAddr>,
    connection: Option<Connection>,
    exchange: Exchange,
}

/// Tries `addresses` until one answers. Returns those that did not, and the one that did, or the last.
fn reach(plan: &Plan, addresses: &[SocketAddr]) -> Result<(Vec<Attempt>, Reached), SocketError> {
    let mut attempts = Vec::new();
    let mut addresses = addresses.iter().copied();
    let mut reached =
        exchange_with(plan, addresses.next().expect("a name has an address or none"))?;
    for next in addresses {
        match reached.exchange.outcome {
            Outcome::Lost(failure) | Outcome::Error(failure) => {
                attempts.push(Attempt { address: reached.address, failure });
                reached = exchange_with(plan, next)?;
            }
            Outcome::Reply { .. } | Outcome::Corrupt { .. } => break,
        }
    }
    Ok((attempts, reached))
}

fn exchange_with(plan: &Plan, address: SocketAddr) -> Result<Reached, SocketError> {
    tracing::debug!(%address, "trying");
    let Opening { connection, transport } = (plan.protocol.open)(address, plan.timeout)?;
    let (local, exchange) = match transport {
        Ok(mut transport) => {
            let exchange = transport.exchange(1, &plan.request, &plan.expected)?;
            (Some(transport.local()), exchange)
        }
        Err(failure) => (None, never_sent(failure)),
    };
    Ok(Reached { address, local, connection, exchange })
}

/// The exchange that there would have been.
fn never_sent(failure: Failure) -> Exchange {
    let outcome = match failure.condition {
        Condition::Silent => Outcome::Lost(failure),
        _ => Outcome::Error(failure),
    };
    Exchange { seq: 1, sent: None, outcome }
}

fn tell(
    plan: &Plan,
    attempts: &[Attempt],
    reached: &Reached,
    summary: &mut Summary,
    report: &mut dyn Report,
) -> io::Result<()> {
    report.event(&Event::Start(&Start::new(plan, Some(reached.address), reached.local)))?;
    for attempt in attempts {
        report.event(&Event::Attempt(attempt))?;
    }
    if let Some(connection) = &reached.connection {
        if let Some(handshake) = connection.handshake() {
            summary.connect.add(handshake);
        }
        report.event(&Event::Connection(connection))?;
    }
    summary.add(&reached.exchange);
    report.event(&Event::Exchange(&reached.exchange))
}
