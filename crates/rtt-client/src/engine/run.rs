//! [`run`]: resolves the target, selects an address that answers, and measures it.

use super::series::{INTERRUPTED, RunPosition, Series, Sink};
use crate::analysis::statistics::Summary;
use crate::event::{Event, FailedAttempt, Progress, Report, Start};
use crate::model::condition::Failure;
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::net::resolve::{LookUpLimits, resolve};
use crate::net::system;
use crate::net::transport::SocketError;
use crate::plan::{Plan, Settings};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::debug;

/// The number of clock readings that measure the cost of one reading. They take about ten microseconds.
const CLOCK_READINGS: u32 = 500;

/// The reason why a run could not be completed. The behaviour of the server and the network is an [`Outcome`], not an
/// error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused a socket operation that the measurement needs.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The system refused to run the measuring thread on one CPU.
    #[error("cannot pin the measuring thread to CPU {cpu}")]
    Pin {
        /// The number of the CPU.
        cpu: usize,
        /// The error of the system.
        source: io::Error,
    },
    /// The system did not start a thread.
    #[error("cannot start a thread")]
    StartThread(#[source] io::Error),
    /// The report returned an error. If the reader of a pipe has exited, the kind of the source is
    /// [`io::ErrorKind::BrokenPipe`].
    #[error("cannot write the report")]
    Report(#[from] io::Error),
}

/// Runs `plan`, passes events to `report`, and returns the summary. A run ends when the plan is complete or when
/// `stop` is set.
///
/// If the target is a name with several addresses, the client tries them one after another. It measures the first
/// address that answers. If none answers, it measures the last one.
///
/// # Errors
///
/// Returns [`RunError`] if the run could not be completed. An absent server is an [`Outcome`], not an error.
pub fn run(plan: &Plan, report: &mut dyn Report, stop: &AtomicBool) -> Result<Summary, RunError> {
    prepare_thread(&plan.settings)?;
    let start = Instant::now();
    let summary = match resolve_target(plan, stop) {
        Ok(addresses) => measure(plan, &addresses, report, stop)?,
        Err(_) if stop.load(Ordering::Relaxed) => {
            report.event(&Event::Start(&new_start(plan, None)))?;
            Summary { notes: vec![INTERRUPTED.to_owned()], ..Summary::default() }
        }
        Err(failure) => {
            report.event(&Event::Start(&new_start(plan, None)))?;
            let exchange = Exchange::not_sent(1, failure);
            let mut summary = Summary::default();
            summary.add(&exchange);
            report.event(&Event::Exchange(&exchange))?;
            summary
        }
    };
    let summary = summary.finish_run(start.elapsed());
    report.event(&Event::Summary { plan, summary: &summary })?;
    Ok(summary)
}

/// Applies the settings of the calling thread: its CPU, and precise timers.
pub(in crate::engine) fn prepare_thread(settings: &Settings) -> Result<(), RunError> {
    if let Some(cpu) = settings.pin {
        system::pin(cpu).map_err(|source| RunError::Pin { cpu, source })?;
    }
    system::use_precise_timers();
    Ok(())
}

/// The addresses of the target. When `stop` is set, the look-up ends with a failure.
pub(in crate::engine) fn resolve_target(
    plan: &Plan,
    stop: &AtomicBool,
) -> Result<Vec<SocketAddr>, Failure> {
    let start = Instant::now();
    let settings = &plan.settings;
    let limits = LookUpLimits { timeout: settings.timeout, stop };
    let result = resolve(&plan.target.host, plan.port(), settings.version(), limits);
    result.map_err(|error| Failure {
        detail: Some(error.to_string()),
        ..Failure::new(error.condition(), start.elapsed())
    })
}

/// The address that a run measures.
pub(in crate::engine) struct SelectedAddress {
    pub(in crate::engine) address: SocketAddr,
    /// The addresses that did not answer.
    pub(in crate::engine) failed_attempts: Vec<FailedAttempt>,
}

/// Selects the first of the `addresses` that answers, or the last one. The client makes one exchange with each address
/// until one answers. It does not test the last address. These exchanges do not count.
pub(in crate::engine) fn select_address(
    plan: &Plan,
    addresses: &[SocketAddr],
    stop: &AtomicBool,
) -> Result<SelectedAddress, RunError> {
    let mut failed_attempts = Vec::new();
    let (last, others) = addresses.split_last().expect("a resolved name has an address");
    for &address in others {
        match try_address(plan, address, stop)? {
            Some(attempt) => failed_attempts.push(attempt),
            None => return Ok(SelectedAddress { address, failed_attempts }),
        }
    }
    Ok(SelectedAddress { address: *last, failed_attempts })
}

/// Makes one exchange with `address`. It does not count. Returns the failure if there is no answer.
pub(in crate::engine) fn try_address(
    plan: &Plan,
    address: SocketAddr,
    stop: &AtomicBool,
) -> Result<Option<FailedAttempt>, RunError> {
    let plan = plan.one_exchange();
    let mut trial = Trial::run(&plan, address, stop)?;
    Ok(match trial.events.exchanges.pop().map(|exchange| exchange.outcome) {
        Some(Outcome::Lost(failure) | Outcome::Error(failure)) => {
            Some(FailedAttempt { protocol: plan.protocol, address, failure })
        }
        _ => None,
    })
}

/// The start event of a run that has not opened a socket.
pub(in crate::engine) fn new_start(plan: &Plan, address: Option<SocketAddr>) -> Start<'_> {
    Start { plan, address, local: None, clock_cost: clock_cost() }
}

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

/// Selects an address and measures it.
fn measure(
    plan: &Plan,
    addresses: &[SocketAddr],
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<Summary, RunError> {
    if plan.settings.count == Some(1) {
        return measure_once(plan, addresses, report, stop);
    }
    let SelectedAddress { address, failed_attempts } = select_address(plan, addresses, stop)?;
    debug!(protocol = plan.protocol.name, %address, "measuring address");
    let series = Series::open(plan, address, RunPosition::Start, stop)?;
    let start = Start { local: series.local(), ..new_start(plan, Some(address)) };
    report_start(&start, &failed_attempts, report)?;
    series.run(&mut ReportSink { plan, report }, stop)
}

/// Performs one exchange with the first address that answers, or with the last one.
fn measure_once(
    plan: &Plan,
    addresses: &[SocketAddr],
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<Summary, RunError> {
    let mut failed_attempts = Vec::new();
    let mut remaining = addresses.iter().copied();
    let mut address = remaining.next().expect("a resolved name has an address");
    loop {
        let Trial { mut events, local, summary } = Trial::run(plan, address, stop)?;
        let exchange = match (events.exchanges.pop(), remaining.next()) {
            (
                Some(Exchange {
                    outcome: Outcome::Lost(failure) | Outcome::Error(failure), ..
                }),
                Some(next),
            ) => {
                failed_attempts.push(FailedAttempt { protocol: plan.protocol, address, failure });
                address = next;
                continue;
            }
            (exchange, _) => exchange,
        };
        let start = Start { local, ..new_start(plan, Some(address)) };
        report_start(&start, &failed_attempts, report)?;
        for connection in &events.connections {
            report.event(&Event::Connection(connection))?;
        }
        // After an interruption, there can be no exchange.
        if let Some(exchange) = &exchange {
            report.event(&Event::Exchange(exchange))?;
        }
        return Ok(summary);
    }
}

/// The mean cost of one reading of the monotonic clock on this host.
fn clock_cost() -> Duration {
    let start = Instant::now();
    for _ in 0..CLOCK_READINGS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed() / CLOCK_READINGS
}

fn report_start(
    start: &Start<'_>,
    failed_attempts: &[FailedAttempt],
    report: &mut dyn Report,
) -> io::Result<()> {
    report.event(&Event::Start(start))?;
    failed_attempts.iter().try_for_each(|attempt| report.event(&Event::FailedAttempt(attempt)))
}

/// One exchange with an address. The events are reported later, when it is known whether the address answers.
struct Trial {
    events: RecordedEvents,
    local: Option<SocketAddr>,
    summary: Summary,
}

impl Trial {
    fn run(plan: &Plan, address: SocketAddr, stop: &AtomicBool) -> Result<Self, RunError> {
        let protocol = plan.protocol.name;
        debug!(protocol, %address, "trying address");
        let mut events = RecordedEvents::default();
        let series = Series::open(plan, address, RunPosition::Start, stop)?;
        let local = series.local();
        let summary = series.run(&mut events, stop)?;
        if let Some(exchange) = events.exchanges.last() {
            let condition = exchange.outcome.failure().map(|failure| failure.condition);
            let condition = condition.map(tracing::field::display);
            let outcome = exchange.outcome.name();
            debug!(protocol, %address, %outcome, condition, "tried address");
        }
        Ok(Self { events, local, summary })
    }
}

/// Passes the events of a series to a report.
struct ReportSink<'a> {
    plan: &'a Plan,
    report: &'a mut dyn Report,
}

impl Sink for ReportSink<'_> {
    fn connection(&mut self, connection: Connection) -> io::Result<()> {
        self.report.event(&Event::Connection(&connection))
    }

    fn exchange(&mut self, exchange: Exchange) -> io::Result<()> {
        self.report.event(&Event::Exchange(&exchange))
    }

    fn progress(&mut self, summary: &Summary, elapsed: Duration) -> io::Result<()> {
        self.report.event(&Event::Progress(&Progress { plan: self.plan, summary, elapsed }))
    }

    fn idle(&mut self) -> io::Result<()> {
        self.report.flush()
    }
}

/// Whether two addresses belong to the same host. A link-local address can exist on every link, so the zone is part of
/// the address.
pub(in crate::engine) fn is_same_host(a: SocketAddr, b: SocketAddr) -> bool {
    let zone = |address| match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    a.ip() == b.ip() && zone(a) == zone(b)
}
