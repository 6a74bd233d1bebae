//! [`run`]: resolves the target, selects an address that answers, and measures it.

use super::select_address::{SelectedAddress, Tried, select_address};
use super::series::{INTERRUPTED, RunPosition, Series, Sink};
use super::trial::Trial;
use crate::analysis::statistics::Summary;
use crate::event::{AddressLimit, Event, Progress, Report, Start};
use crate::model::address_change::AddressChange;
use crate::model::condition::Failure;
use crate::model::exchange::{Connection, Exchange};
use crate::model::loss_place::LossReason;
use crate::model::target::Target;
use crate::net::failure::failure_from_resolve_error;
use crate::net::resolve::{LookUpLimits, NameResolver, ResolvedAddresses, resolve};
use crate::net::system;
use crate::net::transport::SocketError;
use crate::plan::{Plan, Settings};
use crate::protocol::registry::PROTOCOLS;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::debug;

/// The number of clock readings that measure the cost of one reading. They take about ten microseconds.
const CLOCK_READINGS: u32 = 500;

/// The reason why a run could not be completed. The behaviour of the server and the network is an
/// [`Outcome`](crate::model::exchange::Outcome), not an error.
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
/// If the target is a name with several addresses, the client tries at most 16 of them, as RFC 8305 (Happy Eyeballs)
/// specifies. It measures the first address that answers. If none answers, it measures the last one of them. When a series
/// opens a new connection, it looks up the name again, and uses another address if the name has changed.
///
/// # Errors
///
/// Returns [`RunError`] if the run could not be completed. An absent server is an
/// [`Outcome`](crate::model::exchange::Outcome), not an error.
pub fn run(plan: &Plan, report: &mut dyn Report, stop: &AtomicBool) -> Result<Summary, RunError> {
    prepare_thread(&plan.settings)?;
    let start = Instant::now();
    let summary = match resolve_target(plan, stop) {
        Ok(resolved) => measure(plan, &resolved, report, stop)?,
        Err(_) if stop.load(Ordering::Relaxed) => {
            report.event(&Event::Start(&new_start(plan, None)))?;
            Summary { notes: vec![INTERRUPTED.to_owned()], ..Summary::default() }
        }
        Err(failure) if plan.settings.keep_going && NameResolver::of(plan).is_some() => {
            report.event(&Event::Start(&new_start(plan, None)))?;
            let series = Series::without_address(plan, failure, stop).with_name_look_ups(plan);
            series.run(&mut ReportSink { plan, report }, stop)?
        }
        Err(failure) => {
            report.event(&Event::Start(&new_start(plan, None)))?;
            let exchange = Exchange::not_sent(1, failure);
            let mut summary = Summary::default();
            summary.add(&exchange);
            summary.lost_where.add_one(exchange.lost_where, Some(LossReason::NoAddress));
            report.event(&Event::Exchange(&exchange))?;
            summary
        }
    };
    let mut summary = summary.finish_run(start.elapsed());
    summary.notes.extend(share_of_network(plan, &summary));
    report.event(&Event::Summary { plan, summary: &summary })?;
    Ok(summary)
}

/// The command that shows how much of an RTT to a service is network. Absent without a breakdown, because the reader of
/// other runs has not requested the parts of the RTT.
fn share_of_network(plan: &Plan, summary: &Summary) -> Option<String> {
    plan.payload.service()?;
    summary.breakdown.combined_reason()?;
    let kernel = PROTOCOLS.iter().find(|protocol| !protocol.needs_server_program())?;
    let host = Target { protocol: Some(kernel), port: None, ..plan.target.clone() };
    let options = match plan.service {
        Some(service) => format!(" --service {}`", service.name),
        None => "` with the same options for the request and the reply".to_owned(),
    };
    Some(format!(
        "To see how much of the part \"network and server\" is network, use `rtt-client compare {host} {}{options}. The \
         kernel of the host replies to {}.",
        plan.url(),
        kernel.title
    ))
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
) -> Result<ResolvedAddresses, Failure> {
    let start = Instant::now();
    let settings = &plan.settings;
    let limits = LookUpLimits { timeout: settings.timeout, stop };
    let result = resolve(&plan.target.host, plan.port(), settings.version(), limits);
    let version = settings.version_option();
    result.map_err(|error| failure_from_resolve_error(&error, version, start.elapsed()))
}

/// The start event of a run that has not opened a socket.
pub(in crate::engine) fn new_start(plan: &Plan, address: Option<SocketAddr>) -> Start<'_> {
    Start { plan, address, local: None, clock_cost: clock_cost() }
}

/// Selects an address and measures it.
fn measure(
    plan: &Plan,
    resolved: &ResolvedAddresses,
    report: &mut dyn Report,
    stop: &AtomicBool,
) -> Result<Summary, RunError> {
    let selected = select_address(plan, &resolved.addresses, stop)?;
    let SelectedAddress { address, failed_attempts, tried } = selected;
    debug!(protocol = plan.protocol.name, %address, "measuring address");
    let report_start = |local, report: &mut dyn Report| -> io::Result<()> {
        report.event(&Event::Start(&Start { local, ..new_start(plan, Some(address)) }))?;
        report_address_limit(plan, resolved, report)?;
        failed_attempts.iter().try_for_each(|attempt| report.event(&Event::FailedAttempt(attempt)))
    };
    if plan.settings.count == Some(1) {
        let trial = match tried {
            Some(Tried::Exchange(trial)) => *trial,
            Some(Tried::Channel(channel)) => Trial::run_on(*channel, plan, address, stop)?,
            None => Trial::run(plan, address, stop)?,
        };
        report_start(trial.local, report)?;
        return report_trial(trial, report);
    }
    let series = match tried {
        Some(Tried::Channel(channel)) => Series::with_channel(plan, address, *channel, stop),
        Some(Tried::Exchange(_)) | None => Series::open(plan, address, RunPosition::Start, stop)?,
    };
    let series = series.with_name_look_ups(plan);
    report_start(series.local(), report)?;
    series.run(&mut ReportSink { plan, report }, stop)
}

/// Reports the exchange of a run with one exchange.
fn report_trial(trial: Trial, report: &mut dyn Report) -> Result<Summary, RunError> {
    for connection in &trial.connections {
        report.event(&Event::Connection(connection))?;
    }
    // After an interruption, there can be no exchange.
    if let Some(exchange) = &trial.exchange {
        report.event(&Event::Exchange(exchange))?;
    }
    Ok(trial.summary)
}

/// Reports that the client does not try all addresses of the target's name.
pub(in crate::engine) fn report_address_limit(
    plan: &Plan,
    resolved: &ResolvedAddresses,
    report: &mut dyn Report,
) -> io::Result<()> {
    let ResolvedAddresses { addresses, found } = resolved;
    if *found <= addresses.len() {
        return Ok(());
    }
    let host = plan.target.host.clone();
    report.event(&Event::AddressLimit(&AddressLimit {
        host,
        found: *found,
        tried: addresses.len(),
    }))
}

/// The mean cost of one reading of the monotonic clock on this host.
fn clock_cost() -> Duration {
    let start = Instant::now();
    for _ in 0..CLOCK_READINGS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed() / CLOCK_READINGS
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

    fn address_changed(&mut self, change: &AddressChange) -> io::Result<()> {
        self.report.event(&Event::AddressChange(change))
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
