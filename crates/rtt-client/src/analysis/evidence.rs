//! What a comparison has measured: everything that its judgement rests on. All data, nothing judged.

use crate::analysis::statistics::{Distribution, Summary};
use crate::model::condition::Failure;
use crate::model::traffic::Traffic;
use std::net::SocketAddr;
use std::time::Duration;

/// One exchange with each side, next to each other in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Whether B's exchange came first.
    pub b_first: bool,
    /// A's time, if it was answered.
    pub a: Option<Duration>,
    /// B's.
    pub b: Option<Duration>,
}

impl Pair {
    /// By how much B took longer, in nanoseconds, if both were answered.
    #[must_use]
    pub fn difference(&self) -> Option<i64> {
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).ok();
        Some(nanoseconds(self.b?)? - nanoseconds(self.a?)?)
    }
}

/// The differences of those pairs that have one, in their order.
pub(crate) fn differences(pairs: &[Pair]) -> Vec<i64> {
    pairs.iter().filter_map(Pair::difference).collect()
}

/// All that a comparison has measured.
#[derive(Debug, Default)]
pub struct Evidence {
    /// A and B.
    pub sides: [Side; 2],
    /// Pairs made before those that count.
    pub warm_up: u64,
    /// The pairs that count: RTTs.
    pub pairs: Vec<Pair>,
    /// Whether it was interrupted before its end.
    pub interrupted: bool,
    /// Experiments in which some pairs have no reply.
    pub incomplete: Vec<IncompleteExperiment>,
    /// Why RTTs could not be split into their parts, if they could not.
    pub no_breakdown_reason: Option<String>,
    /// Pairs with a connection for each exchange, where a side has connections: from the connection
    /// request to the reply.
    pub pairs_with_connection: Vec<Pair>,
    /// The same with other sizes, if that was asked for.
    pub sweep: Vec<SweepPoint>,
    /// What sending to nobody came to.
    pub closed_port: Option<ClosedPort>,
    /// From the first thing done to the last.
    pub duration: Duration,
    /// What a reader of the figures should know beside them.
    pub notes: Vec<String>,
}

/// An experiment in which some pairs have no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteExperiment {
    /// The name of the experiment, as the progress bar shows it.
    pub name: String,
    /// The number of pairs without both replies.
    pub pairs_without_reply: u64,
    /// The number of all pairs.
    pub pairs: u64,
}

/// One side's measurements.
#[derive(Debug, Default)]
pub struct Side {
    /// The protocol's name in JSON: `udp`.
    pub protocol: &'static str,
    /// The protocol's name in text: `UDP`.
    pub title: &'static str,
    /// The target as a URL.
    pub target: String,
    /// The address that was measured, if the name has one.
    pub address: Option<SocketAddr>,
    /// Whether the protocol is a stream on a connection, with acknowledgements and windows.
    pub is_stream: bool,
    /// How long a request is, in bytes.
    pub request_bytes: usize,
    /// The counts and figures of the pairs' exchanges.
    pub summary: Summary,
    /// The same exchanges with the kernel's stamps, if there were any.
    pub instrumented: Option<Summary>,
    /// The exchanges with a connection each, if there were any.
    pub with_connection: Option<Summary>,
    /// What crossed the wire in the pairs, where that is known.
    pub(crate) traffic: Option<Traffic>,
    /// How many exchanges that was for.
    pub(crate) traffic_exchanges: u64,
    /// What the windows were, where that is known.
    pub windows: Option<Windows>,
    /// What a request in two writes came to, where there is a stream.
    pub two_writes: Vec<TwoWrites>,
    /// Why it could not be measured, if it could not.
    pub failure: Option<Failure>,
}

/// The windows of a connection in the course of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The smallest congestion window that was seen, in segments.
    pub min_congestion_window: u32,
    /// How long a segment can be, in bytes.
    pub segment_bytes: u32,
    /// For how long the peer's receive window kept data back.
    pub limited_by_peer: Duration,
    /// For how long this side's send buffer did.
    pub limited_by_buffer: Duration,
    /// The smallest round trip that the kernel saw.
    pub min_rtt: Option<Duration>,
}

/// A request handed over in two writes, and its reply waited for: many times with small writes sent at
/// once (`TCP_NODELAY`), many times with RFC 896's algorithm, which holds them back.
#[derive(Debug, Default)]
pub struct TwoWrites {
    /// Whether the cut is within a character, so that the server has nothing to say to the first part.
    pub splits_character: bool,
    /// Times with small writes sent at once.
    pub without_nagle: Distribution,
    /// Times with small writes held back.
    pub with_nagle: Distribution,
    /// Why there are none or fewer than there should be.
    pub failure: Option<String>,
}

/// Pairs of another size.
#[derive(Debug)]
pub struct SweepPoint {
    /// The requests' size in bytes.
    pub bytes: usize,
    /// RTTs.
    pub pairs: Vec<Pair>,
}

/// What a datagram to a port of this host came to on which nothing listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedPort {
    /// From a connected socket: after how long the system reported an error, if it did.
    pub connected: Option<Duration>,
    /// From an unconnected one.
    pub unconnected: Option<Duration>,
    /// How long each was waited for.
    pub timeout: Duration,
}
