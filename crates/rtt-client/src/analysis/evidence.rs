//! The measurements of a comparison. The verdict depends only on this data and on the confidence.
//!
//! A program can also fill [`Evidence`] with its own measurements and pass it to
//! [`judge`](crate::analysis::comparison::judge):
//!
//! ```
//! use rtt_client::analysis::evidence::{Evidence, Pair, Side};
//! use rtt_client::protocol_named;
//! use std::time::Duration;
//!
//! let pair = Pair {
//!     b_first: false,
//!     a: Some(Duration::from_micros(100)),
//!     b: Some(Duration::from_micros(103)),
//! };
//! assert_eq!(pair.difference(), Some(3000));
//!
//! // If a reply is missing, the pair has no difference. The verdict ignores this pair.
//! let lost = Pair { b: None, ..pair };
//! assert_eq!(lost.difference(), None);
//!
//! let [udp, tcp] = ["udp", "tcp"].map(|name| protocol_named(name).unwrap());
//! let sides = [Side::new(udp, "udp://192.0.2.1:7"), Side::new(tcp, "tcp://192.0.2.1:7")];
//! let evidence = Evidence { pairs: vec![pair, lost], ..Evidence::new(sides) };
//! ```

use crate::analysis::comparison::SideId;
use crate::analysis::statistics::{Distribution, Summary};
use crate::model::condition::Failure;
use crate::model::expected_server::ExpectedServer;
use crate::model::format::signed_nanoseconds;
use crate::model::protocol::{Framing, Protocol};
use crate::model::traffic::Traffic;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Two consecutive exchanges, one with each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Whether the exchange with B was first. The order is random.
    pub b_first: bool,
    /// The RTT of A. Absent without a correct reply.
    pub a: Option<Duration>,
    /// The RTT of B. Absent without a correct reply.
    pub b: Option<Duration>,
}

impl Pair {
    /// The side whose exchange was first.
    #[must_use]
    pub fn first(&self) -> SideId {
        if self.b_first { SideId::B } else { SideId::A }
    }

    /// B − A in nanoseconds. Absent if a reply is missing.
    #[must_use]
    pub fn difference(&self) -> Option<i64> {
        Some(signed_nanoseconds(self.b?) - signed_nanoseconds(self.a?))
    }
}

/// The differences of the pairs with both replies, in the order of the pairs.
pub(crate) fn differences(pairs: &[Pair]) -> Vec<i64> {
    pairs.iter().filter_map(Pair::difference).collect()
}

/// All measurements of a comparison.
#[derive(Debug)]
pub struct Evidence {
    /// Side A and side B.
    pub sides: [Side; 2],
    /// The number of warm-up pairs. They are not part of `pairs`.
    pub warm_up: u64,
    /// The pairs of the main measurement.
    pub pairs: Vec<Pair>,
    /// Whether the user ended the comparison early.
    pub interrupted: bool,
    /// Whether the comparison ended early because a side did not reply. The missing replies can be in a warm-up, so they do not
    /// always count.
    pub ended_without_replies: bool,
    /// Experiments in which a reply is missing.
    pub incomplete: Vec<IncompleteExperiment>,
    /// The reason why the RTTs have no breakdown. Absent if they have one.
    pub no_breakdown_reason: Option<String>,
    /// Pairs with a new connection for each exchange. Their times start at the connection request and end at the
    /// reply. Empty if neither side has connections.
    pub pairs_with_connection: Vec<Pair>,
    /// Pairs with other request sizes. Empty without `--sweep`.
    pub sweep: Vec<SweepPoint>,
    /// From the start of the comparison to its end.
    pub duration: Duration,
    /// Facts that a reader of the result should know, for example why the comparison ended early.
    pub notes: Vec<String>,
}

impl Evidence {
    /// Creates evidence that contains no pairs.
    #[must_use]
    pub fn new(sides: [Side; 2]) -> Self {
        Self {
            sides,
            warm_up: 0,
            pairs: Vec::new(),
            interrupted: false,
            ended_without_replies: false,
            incomplete: Vec::new(),
            no_breakdown_reason: None,
            pairs_with_connection: Vec::new(),
            sweep: Vec::new(),
            duration: Duration::ZERO,
            notes: Vec::new(),
        }
    }

    /// Whether a side has handshakes of connections instead of exchanges of messages. Most causes and experiments describe
    /// messages.
    pub(crate) fn has_handshakes(&self) -> bool {
        self.sides.iter().any(Side::has_handshakes)
    }

    /// Whether a side has a new connection for each exchange of the main measurement. It has no later exchanges, with which
    /// the first exchange on a connection could be compared.
    pub(crate) fn has_new_connections(&self) -> bool {
        self.sides.iter().any(Side::has_new_connections)
    }
}

/// An experiment in which at least one reply is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteExperiment {
    /// The name of the experiment, for example `new connections`.
    pub name: String,
    /// The number of pairs in which at least one reply is missing.
    pub pairs_without_reply: u64,
    /// The number of all pairs of the experiment.
    pub pairs: u64,
}

/// The measurements of one side.
#[derive(Debug)]
pub struct Side {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The target as a URL.
    pub target: String,
    /// The measured address. Absent if the name look-up failed.
    pub address: Option<SocketAddr>,
    /// The size of a request, in bytes.
    pub request_bytes: usize,
    /// The expected server.
    pub expected: ExpectedServer,
    /// The exchanges of the main measurement.
    pub summary: Summary,
    /// The exchanges with kernel timestamps. Absent without such exchanges.
    pub with_timestamps: Option<Summary>,
    /// The exchanges with a new connection each. Absent without such exchanges.
    pub with_connection: Option<Summary>,
    /// The packets of the main measurement. Absent if the system does not count them.
    pub(crate) traffic: Option<Traffic>,
    /// The number of exchanges that `traffic` contains.
    pub(crate) traffic_exchanges: u64,
    /// The windows of the connection. Absent if the system does not report them.
    pub windows: Option<Windows>,
    /// The measurements of the experiments of the protocol. Empty if the experiments did not run.
    pub measurements: Vec<Measurement>,
    /// The reason why the side has no reply. Absent if it has at least one reply.
    pub failure: Option<Failure>,
}

impl Side {
    /// Creates a side without measurements. `target` is a URL.
    #[must_use]
    pub fn new(protocol: &'static Protocol, target: impl Into<String>) -> Self {
        Self {
            protocol,
            target: target.into(),
            address: None,
            request_bytes: 0,
            expected: ExpectedServer::without_service(protocol),
            summary: Summary::default(),
            with_timestamps: None,
            with_connection: None,
            traffic: None,
            traffic_exchanges: 0,
            windows: None,
            measurements: Vec::new(),
            failure: None,
        }
    }

    /// Whether the exchanges of this side are handshakes of connections. They carry no messages.
    pub(crate) fn has_handshakes(&self) -> bool {
        self.protocol.is_handshake()
    }

    /// Whether the server sends first, after the client has connected. The client then sends no request.
    pub(crate) fn server_sends_first(&self) -> bool {
        let has_request_of_user =
            matches!(self.expected, ExpectedServer::Service(_) | ExpectedServer::Request);
        has_request_of_user && self.request_bytes == 0 && self.protocol.framing == Framing::Stream
    }

    /// Whether the exchanges of the main measurement have a new connection each: the server sends first, or it closes
    /// each connection after its reply.
    pub(crate) fn has_new_connections(&self) -> bool {
        let connections = self.summary.connect.count();
        // The number of connections depends on the limits of the rounds.
        self.server_sends_first()
            || (self.protocol.has_connections() && 2 * connections > self.summary.received)
    }

    /// The measured IP address. An IPv4 address that is mapped to IPv6 becomes an IPv4 address.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        Some(self.address?.ip().to_canonical())
    }

    /// The measurement with this name, if the experiment ran.
    pub(crate) fn measurement(&self, name: &str) -> Option<&Measurement> {
        self.measurements.iter().find(|measurement| measurement.name == name)
    }
}

/// The windows of a connection during the main measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The smallest observed congestion window, in segments.
    pub min_congestion_window: u32,
    /// The largest possible segment, in bytes.
    pub segment_bytes: u32,
    /// The time for which the peer's receive window delayed data.
    pub limited_by_peer: Duration,
    /// The time for which this host's send buffer delayed data.
    pub limited_by_buffer: Duration,
    /// The smallest round-trip time that the kernel measured.
    pub min_rtt: Option<Duration>,
}

/// A measurement of an experiment that explains the RTT of one protocol. The folder of the protocol contains the
/// experiment and the interpretation of its measurements.
#[derive(Debug, Default)]
pub struct Measurement {
    /// The name of the measurement. It is unique within the protocol.
    pub name: &'static str,
    /// The measured durations. Empty if there are none.
    pub durations: Distribution,
    /// The reason why there are no durations, or fewer than planned.
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
