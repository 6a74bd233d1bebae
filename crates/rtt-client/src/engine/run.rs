//! Carrying a plan out: resolve, find the address that answers, run the exchanges, and tell it all to a
//! report.

use super::clock_cost::clock_cost;
use super::series::{Series, Sink};
use crate::analysis::statistics::Summary;
use crate::event::Report;
use crate::event::{Event, FailedAttempt, Progress, Start};
use crate::model::condition::{Condition, Failure};
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::net::resolve::resolve;
use crate::net::system;
use crate::net::transport::SocketError;
use crate::plan::{Plan, Settings};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Why a plan could not be carried out. What the peer and the network do is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system would not do what measuring needs.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The CPU asked for can't be had.
    #[error("staying on CPU {0}: {1}")]
    Pin(usize, io::Error),
    /// The report could not be written.
    #[error("writing the report: {0}")]
    Report(#[from] io::Error),
}

/// Carries `plan` out and tells `report` what happens, until all is done or `stop` is set. Returns the
/// figures.
///
/// A name's addresses are tried in turn, until one answers; that one is measured, or the last.
///
/// # Errors
///
/// [`RunError`]; a server that is not there is an [`Outcome`], and no error.
pub fn run(plan: &Plan, report: &mut dyn Report, stop: &AtomicBool) -> Result<Summary, RunError> {
    prepare_thread(&plan.settings)?;
    let begun = Instant::now();
    let mut summary = match resolve_target(plan) {
        Ok(addresses) => measure(plan, &addresses, report, stop)?,
        Err(failure) => {
            report.event(&Event::Start(&new_start(plan, None)))?;
            let exchange = unsent_exchange(1, failure);
            let mut summary = Summary::default();
            summary.add(&exchange);
            report.event(&Event::Exchange(&exchange))?;
            summary
        }
    };
    summary.duration = begun.elapsed();
    report.event(&Event::Summary { plan, summary: &summary })?;
    Ok(summary)
}

/// Has this thread run and wake up as asked for.
pub(in crate::engine) fn prepare_thread(settings: &Settings) -> Result<(), RunError> {
    if let Some(cpu) = settings.pin {
        system::pin(cpu).map_err(|error| RunError::Pin(cpu, error))?;
    }
    system::use_precise_timers();
    Ok(())
}

/// The addresses of a plan's target, or why there are none.
pub(in crate::engine) fn resolve_target(plan: &Plan) -> Result<Vec<SocketAddr>, Failure> {
    let begun = Instant::now();
    let settings = &plan.settings;
    resolve(&plan.target.host, plan.port(), settings.version(), settings.timeout).map_err(|error| {
        Failure { detail: Some(error.reason()), ..Failure::new(error.condition(), begun.elapsed()) }
    })
}

/// Finds the address that answers and runs the exchanges with it.
fn measure(
    plan: &Plan,
    addresses: &[SocketAddr],
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<Summary, RunError> {
    if plan.settings.count == Some(1) {
        return one(plan, addresses, report, stop);
    }
    let (address, attempts) = find(plan, addresses, stop)?;
    let series = Series::open(plan, address)?;
    report_start(plan, address, series.local(), &attempts, report)?;
    series.run(&mut Told { plan, report }, stop)
}

/// The address that answers, or the last, and what came of those before it: each is tried with one
/// exchange that is not counted. The last is not tried.
pub(in crate::engine) fn find(
    plan: &Plan,
    addresses: &[SocketAddr],
    stop: &AtomicBool,
) -> Result<(SocketAddr, Vec<FailedAttempt>), RunError> {
    let plan = plan.one_exchange();
    let mut attempts = Vec::new();
    let (last, others) = addresses.split_last().expect("a name that is found has an address");
    for address in others {
        let Trial { mut held, .. } = Trial::make(&plan, *address, stop)?;
        match held.exchanges.pop().map(|exchange| exchange.outcome) {
            Some(Outcome::Lost(failure) | Outcome::Error(failure)) => {
                let protocol = plan.protocol;
                attempts.push(FailedAttempt { protocol, address: *address, failure });
            }
            _ => return Ok((*address, attempts)),
        }
    }
    Ok((*last, attempts))
}

/// One exchange, with the first address that answers.
fn one(
    plan: &Plan,
    addresses: &[SocketAddr],
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<Summary, RunError> {
    let mut attempts = Vec::new();
    let mut others = addresses.iter().copied();
    let mut address = others.next().expect("a name that is found has an address");
    loop {
        let Trial { mut held, local, summary } = Trial::make(plan, address, stop)?;
        match (held.exchanges.pop(), others.next()) {
            (
                Some(Exchange {
                    outcome: Outcome::Lost(failure) | Outcome::Error(failure), ..
                }),
                Some(next),
            ) => {
                attempts.push(FailedAttempt { protocol: plan.protocol, address, failure });
                address = next;
            }
            (exchange, _) => {
                report_start(plan, address, local, &attempts, report)?;
                for connection in &held.connections {
                    report.event(&Event::Connection(connection))?;
                }
                // An interrupted exchange is none.
                if let Some(exchange) = &exchange {
                    report.event(&Event::Exchange(exchange))?;
                }
                return Ok(summary);
            }
        }
    }
}

/// One exchange, of which nothing is told before it is over, so that nothing stands between its stamps.
struct Trial {
    held: Held,
    local: Option<SocketAddr>,
    summary: Summary,
}

impl Trial {
    fn make(plan: &Plan, address: SocketAddr, stop: &AtomicBool) -> Result<Self, RunError> {
        let mut held = Held::default();
        let series = Series::open(plan, address)?;
        let local = series.local();
        let summary = series.run(&mut held, stop)?;
        Ok(Self { held, local, summary })
    }
}

/// The start event of a run.
pub(in crate::engine) fn new_start<'a>(plan: &'a Plan, address: Option<SocketAddr>) -> Start<'a> {
    Start { plan, address, local: None, clock_cost: clock_cost() }
}

fn report_start(
    plan: &Plan,
    address: SocketAddr,
    local: Option<SocketAddr>,
    attempts: &[FailedAttempt],
    report: &mut dyn Report,
) -> io::Result<()> {
    report.event(&Event::Start(&Start { local, ..new_start(plan, Some(address)) }))?;
    attempts.iter().try_for_each(|attempt| report.event(&Event::FailedAttempt(attempt)))
}

/// The exchange that there would have been.
pub(in crate::engine) fn unsent_exchange(seq: u64, failure: Failure) -> Exchange {
    Exchange {
        seq,
        sent: None,
        lateness: None,
        first_on_connection: None,
        outcome: outcome_of(failure),
        breakdown: None,
    }
}

/// What a request without a reply has come to.
pub(in crate::engine) fn outcome_of(failure: Failure) -> Outcome {
    match failure.condition {
        Condition::Silent => Outcome::Lost(failure),
        _ => Outcome::Error(failure),
    }
}

/// A series' events, told as they come.
struct Told<'a> {
    plan: &'a Plan,
    report: &'a mut dyn Report,
}

impl Sink for Told<'_> {
    fn connection(&mut self, connection: Connection) -> io::Result<()> {
        self.report.event(&Event::Connection(&connection))
    }

    fn exchange(&mut self, exchange: Exchange) -> io::Result<()> {
        self.report.event(&Event::Exchange(&exchange))
    }

    fn progress(&mut self, summary: &Summary, begun: Instant) -> io::Result<()> {
        let progress = Progress { plan: self.plan, summary, elapsed: begun.elapsed() };
        self.report.event(&Event::Progress(&progress))
    }

    fn idle(&mut self) -> io::Result<()> {
        self.report.flush()
    }
}

/// A series' events, held back until it is known whether they are the run's.
#[derive(Default)]
pub(in crate::engine) struct Held {
    pub(in crate::engine) connections: Vec<Connection>,
    pub(in crate::engine) exchanges: Vec<Exchange>,
}

impl Sink for Held {
    fn connection(&mut self, connection: Connection) -> io::Result<()> {
        self.connections.push(connection);
        Ok(())
    }

    fn exchange(&mut self, exchange: Exchange) -> io::Result<()> {
        self.exchanges.push(exchange);
        Ok(())
    }

    fn progress(&mut self, _: &Summary, _: Instant) -> io::Result<()> {
        Ok(())
    }

    fn idle(&mut self) -> io::Result<()> {
        Ok(())
    }
}
