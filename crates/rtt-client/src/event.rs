//! The events of a run (pure: no I/O, no clock), and [`Report`], the trait that every consumer of events implements.

use crate::analysis::comparison::Verdict;
use crate::analysis::diagnosis::{Finding, HostFinding};
use crate::analysis::evidence::{Evidence, Pair};
use crate::analysis::statistics::Summary;
use crate::capture::trace::Trace;
use crate::model::address_change::AddressChange;
use crate::model::condition::Failure;
use crate::model::exchange::{Connection, Exchange};
use crate::model::protocol::Protocol;
use crate::plan::{ComparisonPlan, Plan};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Something that happened in a run. A report receives the events in the order in which they happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run starts.
    Start(&'a Start<'a>),
    /// The facts about a protocol.
    Protocol(&'static Protocol),
    /// The target's name has more addresses than the client tries.
    AddressLimit(&'a AddressLimit),
    /// An address of the target's name failed, or it did not answer before the client tried the next address.
    FailedAttempt(&'a FailedAttempt),
    /// The client uses another address of the target's name from now on.
    AddressChange(&'a AddressChange),
    /// The client requested a connection.
    Connection(&'a Connection),
    /// The outcome of a request is decided.
    Exchange(&'a Exchange),
    /// The progress of a run, at most ten times a second.
    Progress(&'a Progress<'a>),
    /// A run has ended.
    Summary {
        /// The plan of the run.
        plan: &'a Plan,
        /// The counts and distributions of the run.
        summary: &'a Summary,
    },
    /// The result of a diagnosis for one protocol and address.
    Finding(&'a Finding),
    /// The conclusion of a diagnosis about the host of an address.
    Host(&'a HostFinding),
    /// The captured packets, with their explanation.
    Trace(&'a Trace),
    /// A comparison starts.
    ComparisonStart(&'a ComparisonStart<'a>),
    /// The outcomes of both exchanges of a pair are decided.
    Pair {
        /// The number of the pair. The first pair has number 1.
        number: u64,
        /// The RTTs of the pair.
        pair: &'a Pair,
    },
    /// The progress of a comparison.
    ComparisonProgress(ComparisonProgress),
    /// A comparison has ended.
    Verdict {
        /// The plan of the comparison.
        comparison: &'a ComparisonPlan,
        /// The measurements.
        evidence: &'a Evidence,
        /// The conclusions from the measurements.
        verdict: &'a Verdict,
    },
}

/// Receives the events of a run, for example to write them to a file.
///
/// Without a fixed request rate, the client never calls a report between the two timestamps of an exchange. With a
/// fixed rate, requests can be in flight during a call, so a report should return quickly.
///
/// # Examples
///
/// A report that collects round-trip times:
///
/// ```
/// use rtt_client::{Event, Plan, Report, Settings, protocol_named, run};
/// use std::io;
/// use std::net::UdpSocket;
/// use std::sync::atomic::AtomicBool;
/// use std::thread;
/// use std::time::Duration;
///
/// #[derive(Default)]
/// struct RoundTripTimes(Vec<Duration>);
///
/// impl Report for RoundTripTimes {
///     fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
///         if let Event::Exchange(exchange) = event {
///             // A lost or corrupt exchange has no RTT.
///             self.0.extend(exchange.rtt());
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // An echo server on a free port. It converts ASCII letters to upper case.
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// thread::spawn(move || {
///     let mut buffer = [0; 1500];
///     while let Ok((length, client)) = server.recv_from(&mut buffer) {
///         buffer.make_ascii_uppercase();
///         let _ = server.send_to(&buffer[..length], client);
///     }
/// });
///
/// let udp = protocol_named("udp").expect("UDP is a registered protocol");
/// let plan = Plan::new(udp, address.to_string().parse()?, Settings::series(3))?;
/// let mut report = RoundTripTimes::default();
/// let stop = AtomicBool::new(false);
/// let summary = run(&plan, &mut report, &stop)?;
///
/// assert_eq!(summary.received, 3);
/// assert_eq!(report.0.len(), 3);
/// # Ok(())
/// # }
/// ```
pub trait Report {
    /// Processes one event.
    ///
    /// # Errors
    ///
    /// An error ends the run with [`RunError::Report`](crate::RunError::Report).
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;

    /// Writes buffered output. The client calls this function before a pause, for example between two requests. The
    /// default implementation does nothing.
    ///
    /// # Errors
    ///
    /// An error ends the run with [`RunError::Report`](crate::RunError::Report).
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The facts at the start of a run.
#[derive(Debug)]
pub struct Start<'a> {
    /// The plan of the run.
    pub plan: &'a Plan,
    /// The address that the client measures. Absent if the name look-up failed.
    pub address: Option<SocketAddr>,
    /// The local address of the socket. Absent if the client could not open the socket. Also absent in a comparison,
    /// because a comparison opens its sockets later.
    pub local: Option<SocketAddr>,
    /// The cost of one reading of the monotonic clock on this host. Each RTT contains this cost about once.
    pub clock_cost: Duration,
}

/// The addresses of a name of which the client tries only some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressLimit {
    /// The name.
    pub host: String,
    /// The number of addresses that the look-up found.
    pub found: usize,
    /// The number of addresses that the client tries.
    pub tried: usize,
}

/// An address that did not answer.
#[derive(Debug)]
pub struct FailedAttempt {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The address.
    pub address: SocketAddr,
    /// The failure of the attempt. If another address answered first, this is the state at that time.
    pub failure: Failure,
}

/// The progress of a run.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The plan of the run.
    pub plan: &'a Plan,
    /// The counts and distributions so far.
    pub summary: &'a Summary,
    /// The time since the start of the series.
    pub elapsed: Duration,
}

/// The facts at the start of a comparison.
#[derive(Debug)]
pub struct ComparisonStart<'a> {
    /// The plan of the comparison.
    pub comparison: &'a ComparisonPlan,
    /// The facts about side A and side B, in this order.
    pub sides: &'a [Start<'a>; 2],
}

/// The progress of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComparisonProgress {
    /// The measurement that is running.
    pub stage: ComparisonStage,
    /// The completed share of this measurement, from 0 to 1.
    pub share: f64,
}

/// The measurements of a comparison. They run one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComparisonStage {
    /// The pairs of exchanges for the verdict.
    Pairs,
    /// Pairs with kernel timestamps. The timestamps split the RTT into its parts.
    KernelTimestamps,
    /// Pairs with a new connection for each exchange.
    NewConnections,
    /// An experiment that explains the RTT of one protocol.
    Experiment {
        /// The name: `requests in two writes`.
        name: &'static str,
    },
    /// Pairs with requests of another size.
    RequestSize {
        /// The size of a request, in bytes.
        bytes: usize,
    },
}
