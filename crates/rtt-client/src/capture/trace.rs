//! What a trace has come to: packets explained, and joined to what the application saw of their exchanges.

use crate::capture::flow::{Detail, Flow, PacketRecord, Role, Side, WireExchange};
use crate::capture::totals::Totals;
use crate::model::breakdown::Breakdown;
use crate::model::condition::Failure;
use crate::model::exchange::{Exchange, Outcome};
use crate::model::protocol::Protocol;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How far the wall clock's stamps of a capture and the program's of the monotonic clock can be apart for
/// reasons of their own: two readings, and a slewed clock.
const CLOCKS_AGREE: Duration = Duration::from_micros(2);

/// How far two of the kernel's stamps of the same packet can be apart: one is taken where it is handed to the
/// capture, the other where the interface takes it or its arrival is noticed.
const STAMPS_AGREE: Duration = Duration::from_micros(20);

/// A trace, explained.
#[derive(Debug)]
pub struct Trace {
    pub(crate) targets: Vec<TracedTarget>,
    /// Packets that the capture had no room for, where that is known.
    pub(crate) dropped: Option<u64>,
    /// Packets of a file that are of no exchange.
    pub(crate) skipped: usize,
    /// How many packets a file has.
    pub(crate) packets: usize,
    /// Packets of a file that have no time, and those that were cut before their headers ended or begin with what
    /// is not known here.
    pub(crate) without_time: u64,
    pub(crate) unreadable: usize,
    /// Why a file ends before its end.
    pub(crate) incomplete: Option<String>,
    /// The file that was written.
    pub(crate) file: Option<String>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            dropped: Some(0),
            skipped: 0,
            packets: 0,
            without_time: 0,
            unreadable: 0,
            incomplete: None,
            file: None,
        }
    }
}

/// The exchanges over one protocol.
#[derive(Debug)]
pub(crate) struct TracedTarget {
    pub(crate) protocol: &'static Protocol,
    /// The target, where there was one.
    pub(crate) target: String,
    /// The interface that was captured on.
    pub(crate) interface: Option<String>,
    pub(crate) flows: Vec<Flow>,
    /// What the application saw, an exchange each.
    pub(crate) samples: Vec<Sample>,
    pub(crate) totals: Totals,
}

/// What the application saw of an exchange.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) rtt: Option<Duration>,
    pub(crate) breakdown: Option<Breakdown>,
    pub(crate) failure: Option<Failure>,
    /// The address that it was made from, if it came to that.
    pub(crate) client: Option<SocketAddr>,
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

/// An exchange as the wire and, for one's own, the application saw it.
#[derive(Debug, Clone)]
pub(crate) struct ExchangeTiming {
    /// Its number, from 1.
    pub(crate) exchange: u64,
    pub(crate) wire_rtt: Option<Duration>,
    pub(crate) program_rtt: Option<Duration>,
    pub(crate) breakdown: Option<Breakdown>,
    /// Where they disagree by more than they can.
    pub(crate) disagreement: Option<String>,
}

impl ExchangeTiming {
    /// By how much the application saw more, in nanoseconds.
    pub(crate) fn host_time_ns(&self) -> Option<i64> {
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).ok();
        Some(nanoseconds(self.program_rtt?)? - nanoseconds(self.wire_rtt?)?)
    }
}

impl TracedTarget {
    /// A target without packets and samples.
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

    /// Adds the flows of the target and computes its totals.
    pub(crate) fn with_flows(self, flows: Vec<Flow>) -> Self {
        let totals = Totals::of(&flows.iter().collect::<Vec<_>>());
        Self { flows, totals, ..self }
    }

    /// A part for each protocol that there is among `flows`, in their order.
    pub(crate) fn by_protocol(flows: Vec<Flow>) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for flow in flows {
            let Some(protocol) = flow.protocol else { continue };
            match parts.iter_mut().find(|part| part.protocol == protocol) {
                Some(part) => part.flows.push(flow),
                None => parts.push(Self { flows: vec![flow], ..Self::new(protocol) }),
            }
        }
        for part in &mut parts {
            part.totals = Totals::of(&part.flows.iter().collect::<Vec<_>>());
        }
        parts
    }

    /// The exchanges, in their order: those of all flows together.
    pub(crate) fn exchange_timings(&self) -> Vec<ExchangeTiming> {
        let wire = self.on_the_wire();
        (0..wire.len())
            .map(|place| {
                let on_the_wire = wire[place].and_then(|exchange| exchange.rtt());
                let sample = self.samples.get(place);
                let application = sample.and_then(|sample| sample.rtt);
                let breakdown = sample.and_then(|sample| sample.breakdown);
                ExchangeTiming {
                    exchange: place as u64 + 1,
                    wire_rtt: on_the_wire,
                    program_rtt: application,
                    breakdown,
                    disagreement: disagreement(on_the_wire, application, breakdown),
                }
            })
            .collect()
    }

    /// The exchanges on the wire: those of all flows one after the other, or one's own, each with its sample. The
    /// nth sample from an address is the nth exchange of its flow.
    fn on_the_wire(&self) -> Vec<Option<WireExchange>> {
        if self.samples.is_empty() {
            return self.flows.iter().flat_map(|flow| &flow.exchanges).copied().map(Some).collect();
        }
        let find = |place: usize| {
            let (flow, nth) = self.flow_of(place)?;
            self.flows[flow].exchanges.get(nth).copied()
        };
        (0..self.samples.len()).map(find).collect()
    }

    /// The flow of the sample at `place`, and which of its exchanges it is, from 0.
    fn flow_of(&self, place: usize) -> Option<(usize, usize)> {
        let client = self.samples[place].client?;
        let is_its = |other: SocketAddr| (other.ip(), other.port()) == (client.ip(), client.port());
        let flow = self.flows.iter().rposition(|flow| is_its(flow.client))?;
        let before = &self.samples[..place];
        Some((flow, before.iter().filter(|sample| sample.client.is_some_and(is_its)).count()))
    }

    /// The numbers of the exchanges of the flow at `place`, in their order, where they have one.
    pub(crate) fn numbers(&self, place: usize) -> Vec<Option<u64>> {
        let count = self.flows[place].exchanges.len();
        if self.samples.is_empty() {
            let before: usize = self.flows[..place].iter().map(|flow| flow.exchanges.len()).sum();
            return (0..count).map(|nth| Some((before + nth) as u64 + 1)).collect();
        }
        let mut numbers = vec![None; count];
        for sample in 0..self.samples.len() {
            if let Some((flow, nth)) = self.flow_of(sample)
                && flow == place
                && let Some(number) = numbers.get_mut(nth)
            {
                *number = Some(sample as u64 + 1);
            }
        }
        numbers
    }
}

fn disagreement(
    on_the_wire: Option<Duration>,
    application: Option<Duration>,
    breakdown: Option<Breakdown>,
) -> Option<String> {
    let on_the_wire = on_the_wire?;
    if let Some(application) = application
        && application + CLOCKS_AGREE < on_the_wire
    {
        return Some("the application saw less than passed on the wire: a clock was set".into());
    }
    let between = breakdown?.network_and_server.total();
    (between.abs_diff(on_the_wire) > STAMPS_AGREE).then(|| {
        format!(
            "the kernel's stamps of the packets are {:.1} µs apart from the capture's",
            between.abs_diff(on_the_wire).as_secs_f64() * 1e6
        )
    })
}

impl Trace {
    /// What each packet is: the comments in a file, by the packets' numbers.
    pub(crate) fn comments(&self) -> HashMap<usize, String> {
        let mut comments = HashMap::new();
        for part in &self.targets {
            for (place, flow) in part.flows.iter().enumerate() {
                let numbers = part.numbers(place);
                let told = flow
                    .packets
                    .iter()
                    .map(|line| (line.number, comment(part, line, line.exchange_in(&numbers))));
                comments.extend(told);
            }
        }
        comments
    }
}

impl PacketRecord {
    /// The number of its exchange, `numbers` being those of its flow's.
    pub(crate) fn exchange_in(&self, numbers: &[Option<u64>]) -> Option<u64> {
        let nth = usize::try_from(self.exchange?.checked_sub(1)?).ok()?;
        *numbers.get(nth)?
    }
}

fn comment(part: &TracedTarget, line: &PacketRecord, exchange: Option<u64>) -> String {
    let role = line.role.label();
    let of = exchange.map_or_else(String::new, |exchange| format!(" of exchange {exchange}"));
    format!("{} {role}{of}: {}", part.protocol.title, line.explanation())
}

impl PacketRecord {
    /// What the packet does, in words.
    pub(crate) fn explanation(&self) -> String {
        let who = if self.sender == Side::Client { "the client" } else { "the server" };
        let bytes = self.sizes.payload;
        let mut text = match self.role {
            Role::Syn => "the client requests a connection".to_owned(),
            Role::SynAck => "the server accepts the connection".into(),
            Role::Ack => format!("{who} acknowledges the bytes that it received"),
            Role::Request => format!("{bytes} bytes from the client to the server"),
            Role::Reply => format!("{bytes} bytes from the server to the client"),
            Role::Fin => format!("{who} has no more data to send"),
            Role::Rst => format!("{who} resets the connection"),
            Role::Retransmission => format!("{who} sends bytes again"),
            Role::OutOfOrder => format!("bytes from {who} arrive after later bytes"),
            Role::IcmpError => self.icmp.map_or_else(String::new, |icmp| icmp.to_string()),
            Role::Fragment => "a later fragment of an IP packet".into(),
        };
        if let Some(detail) = self.detail {
            text.push_str(match detail {
                Detail::DuplicateReply => ", a duplicate",
                Detail::WithFin => ", with FIN: no more data follows",
                Detail::OfHandshake => ", from the handshake",
            });
        }
        if self.is_truncated {
            text.push_str(", truncated by the capture");
        }
        text
    }
}
