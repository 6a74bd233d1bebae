//! The measurements of a comparison. The verdict depends on this data and on nothing else. Data only. Pure.
//!
//! A program can also build [`Evidence`] from measurements of its own and pass it to
//! [`judge`](crate::analysis::comparison::judge):
//!
//! ```
//! use rtt_client::analysis::evidence::{Evidence, Pair, Side};
//! use std::time::Duration;
//!
//! let pair = Pair {
//!     b_first: false,
//!     a: Some(Duration::from_micros(100)),
//!     b: Some(Duration::from_micros(103)),
//! };
//! assert_eq!(pair.difference(), Some(3000));
//!
//! // A pair without a reply has no difference. The verdict ignores it, and a note reports the loss.
//! let lost = Pair { b: None, ..pair };
//! assert_eq!(lost.difference(), None);
//!
//! let mut evidence = Evidence { pairs: vec![pair, lost], ..Evidence::default() };
//! evidence.sides = [Side::new("UDP", "udp://192.0.2.1:7"), Side::new("TCP", "tcp://192.0.2.1:7")];
//! ```

use crate::analysis::comparison::SideId;
use crate::analysis::statistics::{Distribution, Summary};
use crate::model::condition::Failure;
use crate::model::traffic::Traffic;
use std::net::SocketAddr;
use std::time::Duration;

/// One exchange with each side, one directly after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Whether the exchange with B was first. The order is random.
    pub b_first: bool,
    /// The RTT of A, if the exchange had a correct reply.
    pub a: Option<Duration>,
    /// The RTT of B, if the exchange had a correct reply.
    pub b: Option<Duration>,
}

impl Pair {
    /// The side whose exchange was first.
    #[must_use]
    pub fn first(&self) -> SideId {
        if self.b_first { SideId::B } else { SideId::A }
    }

    /// B − A in nanoseconds, if both exchanges had a correct reply.
    #[must_use]
    pub fn difference(&self) -> Option<i64> {
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).ok();
        Some(nanoseconds(self.b?)? - nanoseconds(self.a?)?)
    }
}

/// The differences of the pairs that have one, in the order of the pairs.
pub(crate) fn differences(pairs: &[Pair]) -> Vec<i64> {
    pairs.iter().filter_map(Pair::difference).collect()
}

/// All measurements of a comparison.
#[derive(Debug, Default)]
pub struct Evidence {
    /// A and B.
    pub sides: [Side; 2],
    /// The number of warm-up pairs. They are not part of `pairs`.
    pub warm_up: u64,
    /// The pairs of the main measurement.
    pub pairs: Vec<Pair>,
    /// Whether the user ended the comparison early.
    pub interrupted: bool,
    /// Experiments in which some pairs have no reply.
    pub incomplete: Vec<IncompleteExperiment>,
    /// Why the RTTs have no breakdown, if they have none.
    pub no_breakdown_reason: Option<String>,
    /// Pairs with a new connection for each exchange: from the connection request to the reply. Empty if
    /// neither side has connections.
    pub pairs_with_connection: Vec<Pair>,
    /// Pairs with other request sizes, if the user requested them (`--sweep`).
    pub sweep: Vec<SweepPoint>,
    /// The result of sending a datagram to a closed port of this host.
    pub closed_port: Option<ClosedPort>,
    /// From the start of the comparison to its end.
    pub duration: Duration,
    /// Facts that a reader of the figures should know.
    pub notes: Vec<String>,
}

/// An experiment in which some pairs have no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteExperiment {
    /// The name of the experiment: `new connections`.
    pub name: String,
    /// The number of pairs without both replies.
    pub pairs_without_reply: u64,
    /// The number of all pairs.
    pub pairs: u64,
}

/// The measurements of one side.
#[derive(Debug, Default)]
pub struct Side {
    /// The protocol's name in JSON: `udp`.
    pub protocol: &'static str,
    /// The protocol's name in text: `UDP`.
    pub title: &'static str,
    /// The target as a URL.
    pub target: String,
    /// The measured address. Absent if the name look-up failed.
    pub address: Option<SocketAddr>,
    /// Whether the protocol is a byte stream over connections, with acknowledgements and windows.
    pub is_stream: bool,
    /// The size of a request, in bytes.
    pub request_bytes: usize,
    /// The exchanges of the main measurement.
    pub summary: Summary,
    /// Exchanges with kernel timestamps, if there were any.
    pub instrumented: Option<Summary>,
    /// Exchanges with a new connection each, if there were any.
    pub with_connection: Option<Summary>,
    /// The packets of the main measurement, if the system counts them.
    pub(crate) traffic: Option<Traffic>,
    /// The number of exchanges to which `traffic` belongs.
    pub(crate) traffic_exchanges: u64,
    /// The windows of the connection, if the system reports them.
    pub windows: Option<Windows>,
    /// The results of requests in two writes, if the protocol is a stream.
    pub two_writes: Vec<TwoWrites>,
    /// Why the side has no reply at all, if it has none.
    pub failure: Option<Failure>,
}

impl Side {
    /// A side without measurements. `title` is the protocol's name in text.
    #[must_use]
    pub fn new(title: &'static str, target: impl Into<String>) -> Self {
        Self { title, target: target.into(), ..Self::default() }
    }
}

/// The windows of a connection during the main measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The smallest observed congestion window, in segments.
    pub min_congestion_window: u32,
    /// The largest possible segment, in bytes.
    pub segment_bytes: u32,
    /// How long the peer's receive window delayed data.
    pub limited_by_peer: Duration,
    /// How long this host's send buffer delayed data.
    pub limited_by_buffer: Duration,
    /// The smallest round-trip time that the kernel measured.
    pub min_rtt: Option<Duration>,
}

/// The result of requests in two writes. The client sends each part of a request with a write of its own and
/// waits for the complete reply.
#[derive(Debug, Default)]
pub struct TwoWrites {
    /// Whether the first write ends inside a multi-byte character. Our server then waits for the second write
    /// before it answers.
    pub splits_character: bool,
    /// RTTs with `TCP_NODELAY`: the kernel sends small writes at once.
    pub without_nagle: Distribution,
    /// RTTs with Nagle's algorithm (RFC 896): the kernel delays a small write while an earlier one has no
    /// acknowledgement.
    pub with_nagle: Distribution,
    /// Why there are no results, or fewer than planned.
    pub failure: Option<String>,
}

/// Pairs with one request size.
#[derive(Debug)]
pub struct SweepPoint {
    /// The size of a request, in bytes.
    pub bytes: usize,
    /// The pairs.
    pub pairs: Vec<Pair>,
}

/// The result of sending a datagram to a port of this host on which no process listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedPort {
    /// The time until a connected socket received an error, if it did.
    pub connected: Option<Duration>,
    /// The time until an unconnected socket received an error, if it did.
    pub unconnected: Option<Duration>,
    /// How long each socket waited.
    pub timeout: Duration,
}
