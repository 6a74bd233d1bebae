//! The result of a trace: the flows and exchanges of each target, and facts about the capture.

use crate::capture::exchanges::WireExchange;
use crate::capture::flow::{Flow, PacketRecord};
use crate::capture::totals::Totals;
use crate::model::breakdown::Breakdown;
use crate::model::condition::Failure;
use crate::model::exchange::{Exchange, Outcome};
use crate::model::format;
use crate::model::protocol::Protocol;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The RTT of the program should not be shorter than the time from the request packet to the reply packet. A
/// difference up to this value is allowed. The two times are from different clocks, and neither clock is exact.
const CLOCK_TOLERANCE: Duration = Duration::from_micros(2);

/// The breakdown and the capture each contain the time from request to reply. This is the maximum difference between
/// these two times. For the breakdown, the kernel takes timestamps when the interface accepts the request and when
/// the reply arrives. For the capture, it takes timestamps when it passes these packets to the capture.
const KERNEL_TIMESTAMP_TOLERANCE: Duration = Duration::from_micros(20);

/// The result of a trace, from a capture or from a file.
///
/// # Examples
///
/// A report that collects the roles of all packets:
///
/// ```
/// use rtt_client::{Event, PacketRole, Report, read_trace};
/// use std::io;
/// use std::path::Path;
///
/// #[derive(Default)]
/// struct Roles(Vec<PacketRole>);
///
/// impl Report for Roles {
///     fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
///         if let Event::Trace(trace) = event {
///             let flows = trace.targets.iter().flat_map(|target| &target.flows);
///             self.0.extend(flows.flat_map(|flow| &flow.packets).map(|packet| packet.role));
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A pcap file with one UDP datagram. Link type 101: the packet begins with the IP header.
/// let mut file = Vec::new();
/// for number in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101, 0, 0, 33, 33] {
///     file.extend(number.to_be_bytes());
/// }
/// file.extend([0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
/// file.extend([0x15, 0xb3, 0x61, 0xa8, 0, 13, 0, 0]);
/// file.extend(b"hello");
///
/// let mut roles = Roles::default();
/// read_trace(&file[..], Path::new("example.pcap"), &mut roles)?;
/// assert_eq!(roles.0, [PacketRole::Request]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Trace {
    /// One entry for each traced target, or for each protocol in the file.
    pub targets: Vec<TracedTarget>,
    /// The number of packets that the capture lost, because its buffer was full or a limit was reached. `None`
    /// if the number is not known.
    pub dropped: Option<u64>,
    /// The number of packets that were read from a file.
    pub packets: usize,
    /// The number of packets in the file that belong to no flow. Examples are packets of other protocols and
    /// unreadable packets. Packets of further flows after the maximum number of flows also count.
    pub skipped: usize,
    /// The number of skipped packets that are truncated or have an unknown link type.
    pub unreadable: usize,
    /// The number of skipped packets of further flows after the maximum number of flows.
    pub beyond_flow_limit: usize,
    /// The number of packets in the file without a time.
    pub without_time: u64,
    /// The reason why only a part of the file was read.
    pub incomplete: Option<String>,
    /// Whether the capture of a target reached the maximum number of packets or bytes. `dropped` contains the packets
    /// that were not stored.
    pub limit_reached: bool,
    /// Whether the user ended the trace before it was complete.
    pub interrupted: bool,
    /// The path of the file that the trace wrote.
    pub file: Option<String>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            dropped: Some(0),
            packets: 0,
            skipped: 0,
            unreadable: 0,
            beyond_flow_limit: 0,
            without_time: 0,
            incomplete: None,
            limit_reached: false,
            interrupted: false,
            file: None,
        }
    }
}

/// The exchanges over one protocol: those with one target, or all of a file.
#[derive(Debug)]
pub struct TracedTarget {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The URL of the target. Empty for a file.
    pub target: String,
    /// The name of the interface on which the packets were captured. `None` for a file.
    pub interface: Option<String>,
    /// The flows, in the order of their first packets.
    pub flows: Vec<Flow>,
    /// The measurement of each exchange. Empty for a file.
    pub(crate) samples: Vec<Sample>,
    pub(crate) totals: Totals,
}

/// The measurement of one exchange by this program.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) rtt: Option<Duration>,
    pub(crate) breakdown: Option<Breakdown>,
    pub(crate) failure: Option<Failure>,
    /// The local address of the exchange. `None` if no request was sent.
    pub(crate) client: Option<SocketAddr>,
}

/// The times of an exchange.
#[derive(Debug, Clone)]
pub struct ExchangeTiming {
    /// The number of the exchange. The first exchange has number 1.
    pub exchange: u64,
    /// The time from the request packet to the reply packet. `None` if one of them was not captured.
    pub wire_rtt: Option<Duration>,
    /// The RTT that the program measured. `None` for a file, and for an exchange without a reply.
    pub program_rtt: Option<Duration>,
    /// The parts of `program_rtt`, if they were measured.
    pub breakdown: Option<Breakdown>,
    /// A contradiction between the measurements.
    pub disagreement: Option<Disagreement>,
}

/// Two measurements of an exchange that differ by more than their tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disagreement {
    /// The RTT of the program is shorter than the time between the packets.
    ClockWasSet,
    /// The breakdown and the capture have different kernel timestamps.
    KernelTimestamps {
        /// The difference between the two times from request to reply.
        difference: Duration,
    },
}

impl Trace {
    /// The comment for each packet of a pcapng file, by the number of the packet.
    pub(crate) fn comments(&self) -> HashMap<usize, String> {
        let packets_of = |target: &'_ TracedTarget| {
            let protocol = target.protocol;
            let packets = target.flows.iter().flat_map(|flow| &flow.packets);
            packets.map(|packet| (packet.number, comment(protocol, packet))).collect::<Vec<_>>()
        };
        self.targets.iter().flat_map(packets_of).collect()
    }
}

impl TracedTarget {
    /// A target without flows and samples.
    pub(crate) fn new(protocol: &'static Protocol) -> Self {
        Self {
            protocol,
            target: String::new(),
            interface: None,
            flows: Vec::new(),
            samples: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Sets the flows and computes their totals. The samples must be set before, because they determine the
    /// numbers of the exchanges.
    pub(crate) fn with_flows(mut self, flows: Vec<Flow>) -> Self {
        self.totals = Totals::of(&flows);
        self.flows = flows;
        let numbers = self.exchange_numbers();
        for (flow, numbers) in self.flows.iter_mut().zip(numbers) {
            for packet in &mut flow.packets {
                packet.exchange = packet.exchange.and_then(|number| numbers.get(&number).copied());
            }
        }
        self
    }

    /// One target for each protocol in `flows`, in the order of the first packets.
    pub(crate) fn by_protocol(flows: Vec<Flow>) -> Vec<Self> {
        let mut protocols: Vec<&'static Protocol> = Vec::new();
        for protocol in flows.iter().map(Flow::protocol) {
            if !protocols.contains(&protocol) {
                protocols.push(protocol);
            }
        }
        let mut rest = flows;
        let target = |protocol| {
            let flows = rest.extract_if(.., |flow| flow.protocol() == protocol).collect();
            Self::new(protocol).with_flows(flows)
        };
        protocols.into_iter().map(target).collect()
    }

    /// The times of each exchange, in the order of their numbers.
    #[must_use]
    pub fn exchange_timings(&self) -> Vec<ExchangeTiming> {
        let wire_exchanges = (1..).zip(self.wire_exchanges());
        let timings = wire_exchanges.enumerate().map(|(index, (number, exchange))| {
            let wire_rtt = exchange.and_then(|exchange| exchange.rtt());
            ExchangeTiming::new(number, wire_rtt, self.samples.get(index))
        });
        timings.collect()
    }

    /// Whether this program sent at least one request to the target.
    pub(crate) fn has_sent_requests(&self) -> bool {
        self.samples.iter().any(|sample| sample.client.is_some())
    }

    /// The reason why the exchange with this number has no correct reply. `None` if it has a correct reply. Always
    /// `None` for a file.
    #[must_use]
    pub fn failure(&self, exchange: u64) -> Option<&Failure> {
        let index = usize::try_from(exchange.checked_sub(1)?).ok()?;
        self.samples.get(index)?.failure.as_ref()
    }

    /// For each flow: the number of an exchange in the flow -> its number among all exchanges with the target. With
    /// samples, an exchange without a sample has no number.
    fn exchange_numbers(&self) -> Vec<HashMap<u64, u64>> {
        if self.samples.is_empty() {
            let mut numbers = 1..;
            let number_of = |flow: &Flow| flow.exchanges.numbers().zip(numbers.by_ref()).collect();
            return self.flows.iter().map(number_of).collect();
        }
        let mut numbers = vec![HashMap::new(); self.flows.len()];
        for (number, position) in (1..).zip(self.sample_positions()) {
            if let Some(Position { flow, exchange }) = position {
                numbers[flow].insert(exchange, number);
            }
        }
        numbers
    }

    /// The captured exchange of each sample. Without samples (a file): all exchanges of all flows.
    fn wire_exchanges(&self) -> Vec<Option<WireExchange>> {
        if self.samples.is_empty() {
            let exchanges = self.flows.iter().flat_map(|flow| flow.exchanges.iter());
            return exchanges.copied().map(Some).collect();
        }
        let find = |position: Option<Position>| {
            let Position { flow, exchange } = position?;
            self.flows[flow].exchanges.get(exchange).copied()
        };
        self.sample_positions().map(find).collect()
    }

    /// For each sample, the position of its exchange. The client address determines the flow. Of all samples
    /// with the same client address, the nth belongs to the nth exchange of that flow. If several flows have this
    /// client address, the newest flow is used.
    fn sample_positions(&self) -> impl Iterator<Item = Option<Position>> + '_ {
        let ip_and_port = |address: SocketAddr| (address.ip(), address.port());
        let flows = self.flows.iter().map(|flow| ip_and_port(flow.client));
        let newest: HashMap<_, _> =
            flows.enumerate().map(|(index, client)| (client, index)).collect();
        let mut latest = HashMap::new();
        self.samples.iter().map(move |sample| {
            let client = ip_and_port(sample.client?);
            let exchange: &mut u64 = latest.entry(client).or_default();
            *exchange += 1;
            Some(Position { flow: *newest.get(&client)?, exchange: *exchange })
        })
    }
}

/// The position of an exchange: the index of its flow, and its number in the flow.
struct Position {
    flow: usize,
    exchange: u64,
}

impl Sample {
    pub(crate) fn of(exchange: Exchange, client: Option<SocketAddr>) -> Self {
        let (rtt, breakdown) = (exchange.rtt(), exchange.breakdown);
        let failure = match exchange.outcome {
            Outcome::Reply { .. } => None,
            Outcome::Lost(failure) | Outcome::Error(failure) | Outcome::Corrupt { failure, .. } => {
                Some(failure)
            }
        };
        Self { rtt, breakdown, failure, client }
    }
}

impl ExchangeTiming {
    fn new(exchange: u64, wire_rtt: Option<Duration>, sample: Option<&Sample>) -> Self {
        let program_rtt = sample.and_then(|sample| sample.rtt);
        let breakdown = sample.and_then(|sample| sample.breakdown);
        let disagreement =
            wire_rtt.and_then(|wire_rtt| disagreement(wire_rtt, program_rtt, breakdown));
        Self { exchange, wire_rtt, program_rtt, breakdown, disagreement }
    }

    /// The time inside this host, in nanoseconds: `program_rtt` minus `wire_rtt`. It can be negative, because
    /// the two times are from different clocks.
    #[must_use]
    pub fn host_time_ns(&self) -> Option<i64> {
        Some(
            format::signed_nanoseconds(self.program_rtt?)
                - format::signed_nanoseconds(self.wire_rtt?),
        )
    }
}

fn disagreement(
    wire_rtt: Duration,
    program_rtt: Option<Duration>,
    breakdown: Option<Breakdown>,
) -> Option<Disagreement> {
    if program_rtt.is_some_and(|program_rtt| program_rtt + CLOCK_TOLERANCE < wire_rtt) {
        return Some(Disagreement::ClockWasSet);
    }
    let outside_host = breakdown?.network_and_server.total();
    let difference = outside_host.abs_diff(wire_rtt);
    (difference > KERNEL_TIMESTAMP_TOLERANCE)
        .then_some(Disagreement::KernelTimestamps { difference })
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockWasSet => f.write_str(
                "the RTT of the program is shorter than the time between the packets, so a clock was set",
            ),
            Self::KernelTimestamps { difference } => {
                let difference = format::duration(*difference);
                write!(f, "the kernel timestamps of breakdown and capture differ by {difference}")
            }
        }
    }
}

/// The comment of a packet: its protocol, its role and its meaning.
fn comment(protocol: &Protocol, packet: &PacketRecord) -> String {
    let (title, role) = (protocol.title, packet.role.label());
    let explanation = packet.explanation();
    match packet.exchange {
        Some(number) => format!("{title} {role} of exchange {number}: {explanation}"),
        None => format!("{title} {role}: {explanation}"),
    }
}
