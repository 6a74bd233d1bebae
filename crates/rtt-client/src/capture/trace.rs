//! The result of a trace: the flows and exchanges of each protocol, and what is known about the capture.

mod timing;

pub(crate) use timing::ExchangeTiming;

use crate::capture::exchanges::WireExchange;
use crate::capture::flow::{Flow, PacketRecord};
use crate::capture::totals::Totals;
use crate::model::breakdown::Breakdown;
use crate::model::condition::Failure;
use crate::model::exchange::{Exchange, Outcome};
use crate::model::protocol::Protocol;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The result of a trace, from a capture or from a file.
#[derive(Debug)]
pub struct Trace {
    /// One entry for each traced target, or for each protocol in the file.
    pub(crate) targets: Vec<TracedTarget>,
    /// The number of packets that the capture did not store, because its buffer or a limit was exhausted. `None` if the
    /// number is not known.
    pub(crate) dropped: Option<u64>,
    /// The number of packets in the file.
    pub(crate) packets: usize,
    /// The number of packets in the file that belong to no flow: other protocols, unreadable packets, second copies on a
    /// loopback interface, and packets beyond the maximum number of flows.
    pub(crate) skipped: usize,
    /// The number of skipped packets that end within their headers or have an unknown link type.
    pub(crate) unreadable: usize,
    /// The number of packets in the file without a time.
    pub(crate) without_time: u64,
    /// The reason why only a part of the file was read.
    pub(crate) incomplete: Option<String>,
    /// The name of the file that was written.
    pub(crate) file: Option<String>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            dropped: Some(0),
            packets: 0,
            skipped: 0,
            unreadable: 0,
            without_time: 0,
            incomplete: None,
            file: None,
        }
    }
}

/// The exchanges over one protocol: with one target, or all of a file.
#[derive(Debug)]
pub(crate) struct TracedTarget {
    pub(crate) protocol: &'static Protocol,
    /// The URL of the target. Empty for a file.
    pub(crate) target: String,
    /// The name of the interface that was captured on.
    pub(crate) interface: Option<String>,
    pub(crate) flows: Vec<Flow>,
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
    /// The local address of the exchange. `None` if nothing was sent.
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

impl Trace {
    /// The comment for each packet of a pcapng file, by the number of the packet.
    pub(crate) fn comments(&self) -> HashMap<usize, String> {
        let mut comments = HashMap::new();
        for target in &self.targets {
            for (index, flow) in target.flows.iter().enumerate() {
                let numbers = target.exchange_numbers(index);
                comments.extend(flow.packets.iter().map(|packet| {
                    let exchange = packet.exchange_in(&numbers);
                    (packet.number, comment(target.protocol, packet, exchange))
                }));
            }
        }
        comments
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

    /// Sets the flows, and computes the totals from them.
    pub(crate) fn with_flows(self, flows: Vec<Flow>) -> Self {
        let totals = Totals::of(&flows);
        Self { flows, totals, ..self }
    }

    /// One entry for each protocol in `flows`, in the order of the first packets.
    pub(crate) fn by_protocol(flows: Vec<Flow>) -> Vec<Self> {
        let mut groups: Vec<(&'static Protocol, Vec<Flow>)> = Vec::new();
        for flow in flows {
            let Some(protocol) = flow.protocol else { continue };
            match groups.iter_mut().find(|(known, _)| *known == protocol) {
                Some((_, group)) => group.push(flow),
                None => groups.push((protocol, vec![flow])),
            }
        }
        groups.into_iter().map(|(protocol, flows)| Self::new(protocol).with_flows(flows)).collect()
    }

    /// The timing of each exchange, in the order of the exchanges of all flows.
    pub(crate) fn exchange_timings(&self) -> Vec<ExchangeTiming> {
        let wire_exchanges = self.wire_exchanges().into_iter();
        wire_exchanges
            .enumerate()
            .map(|(index, exchange)| {
                let wire_rtt = exchange.and_then(|exchange| exchange.rtt());
                ExchangeTiming::new(index as u64 + 1, wire_rtt, self.samples.get(index))
            })
            .collect()
    }

    /// The numbers of a flow's exchanges within the target, in the order of the flow. `None` for an exchange without a
    /// sample.
    pub(crate) fn exchange_numbers(&self, flow: usize) -> Vec<Option<u64>> {
        let count = self.flows[flow].exchanges.len();
        if self.samples.is_empty() {
            let before: usize = self.flows[..flow].iter().map(|flow| flow.exchanges.len()).sum();
            return (before..before + count).map(|index| Some(index as u64 + 1)).collect();
        }
        let mut numbers = vec![None; count];
        for sample in 0..self.samples.len() {
            if let Some(position) = self.position_of(sample)
                && position.flow == flow
                && let Some(number) = numbers.get_mut(position.exchange)
            {
                *number = Some(sample as u64 + 1);
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
        let find = |sample| {
            let position = self.position_of(sample)?;
            self.flows[position.flow].exchanges.get(position.exchange).copied()
        };
        (0..self.samples.len()).map(find).collect()
    }

    /// Finds the exchange of a sample by the client's address: the nth sample from an address is the nth exchange of
    /// the flow from this address. The newest flow counts, because ports can be used again.
    fn position_of(&self, sample: usize) -> Option<Position> {
        let client = self.samples[sample].client?;
        let is_same =
            |other: SocketAddr| (other.ip(), other.port()) == (client.ip(), client.port());
        let flow = self.flows.iter().rposition(|flow| is_same(flow.client))?;
        let earlier = &self.samples[..sample];
        let exchange = earlier.iter().filter(|earlier| earlier.client.is_some_and(is_same)).count();
        Some(Position { flow, exchange })
    }
}

/// The position of an exchange in the flows of a target. Both indexes count from 0.
struct Position {
    flow: usize,
    exchange: usize,
}

impl PacketRecord {
    /// The number of the packet's exchange within the target. `numbers` belongs to the packet's flow
    /// ([`TracedTarget::exchange_numbers`]).
    pub(crate) fn exchange_in(&self, numbers: &[Option<u64>]) -> Option<u64> {
        let index = usize::try_from(self.exchange?.checked_sub(1)?).ok()?;
        *numbers.get(index)?
    }
}

/// For example `TCP SYN, ACK: the server accepts the connection`.
fn comment(protocol: &Protocol, packet: &PacketRecord, exchange: Option<u64>) -> String {
    let (title, role) = (protocol.title, packet.role.label());
    let explanation = packet.explanation();
    match exchange {
        Some(number) => format!("{title} {role} of exchange {number}: {explanation}"),
        None => format!("{title} {role}: {explanation}"),
    }
}
