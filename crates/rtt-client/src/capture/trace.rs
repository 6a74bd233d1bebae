//! What a trace has come to: packets explained, and joined to what the application saw of their exchanges.

use crate::capture::difference::Totals;
use crate::capture::flow::{Flow, Line, OnTheWire, Role};
use crate::model::breakdown::Breakdown;
use crate::model::condition::Failure;
use crate::model::exchange::{Exchange, Outcome};
use crate::plan::Plan;
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
    pub(crate) parts: Vec<TracedTarget>,
    /// Packets that the capture had no room for, where that is known.
    pub(crate) lost: Option<u64>,
    /// Packets of a file that are of no exchange.
    pub(crate) others: usize,
    /// How many packets a file has.
    pub(crate) packets: usize,
    /// Packets of a file that have no time, and those that were cut before their headers ended or begin with what
    /// is not known here.
    pub(crate) untimed: u64,
    pub(crate) cut: usize,
    /// Why a file ends before its end.
    pub(crate) broken: Option<String>,
    /// The file that was written.
    pub(crate) written: Option<String>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            lost: Some(0),
            others: 0,
            packets: 0,
            untimed: 0,
            cut: 0,
            broken: None,
            written: None,
        }
    }
}

/// The exchanges over one protocol.
#[derive(Debug, Default)]
pub(crate) struct TracedTarget {
    /// The protocol's title and name.
    pub(crate) title: &'static str,
    pub(crate) protocol: &'static str,
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
    pub(crate) on_the_wire: Option<Duration>,
    pub(crate) application: Option<Duration>,
    pub(crate) breakdown: Option<Breakdown>,
    /// Where they disagree by more than they can.
    pub(crate) disagreement: Option<String>,
}

impl ExchangeTiming {
    /// By how much the application saw more, in nanoseconds.
    pub(crate) fn difference(&self) -> Option<i64> {
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).ok();
        Some(nanoseconds(self.application?)? - nanoseconds(self.on_the_wire?)?)
    }
}

impl TracedTarget {
    pub(crate) fn new(
        plan: &Plan,
        interface: &str,
        flows: Vec<Flow>,
        samples: Vec<Sample>,
    ) -> Self {
        let totals = Totals::of(&flows.iter().collect::<Vec<_>>());
        Self {
            title: plan.protocol.title,
            protocol: plan.protocol.name,
            target: plan.url(),
            interface: Some(interface.to_owned()),
            flows,
            samples,
            totals,
        }
    }

    /// A part for each protocol that there is among `flows`, in their order.
    pub(crate) fn by_protocol(flows: Vec<Flow>) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for flow in flows {
            let Some(protocol) = flow.protocol else { continue };
            match parts.iter_mut().find(|part| part.protocol == protocol.name) {
                Some(part) => part.flows.push(flow),
                None => parts.push(Self {
                    title: protocol.title,
                    protocol: protocol.name,
                    flows: vec![flow],
                    ..Self::default()
                }),
            }
        }
        for part in &mut parts {
            part.totals = Totals::of(&part.flows.iter().collect::<Vec<_>>());
        }
        parts
    }

    /// The exchanges, in their order: those of all flows together.
    pub(crate) fn joined(&self) -> Vec<ExchangeTiming> {
        let wire = self.on_the_wire();
        (0..wire.len())
            .map(|place| {
                let on_the_wire = wire[place].and_then(|exchange| exchange.rtt());
                let sample = self.samples.get(place);
                let application = sample.and_then(|sample| sample.rtt);
                let breakdown = sample.and_then(|sample| sample.breakdown);
                ExchangeTiming {
                    exchange: place as u64 + 1,
                    on_the_wire,
                    application,
                    breakdown,
                    disagreement: disagreement(on_the_wire, application, breakdown),
                }
            })
            .collect()
    }

    /// The exchanges on the wire: those of all flows one after the other, or one's own, each with its sample. The
    /// nth sample from an address is the nth exchange of its flow.
    fn on_the_wire(&self) -> Vec<Option<OnTheWire>> {
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
        for part in &self.parts {
            for (place, flow) in part.flows.iter().enumerate() {
                let numbers = part.numbers(place);
                let told = flow
                    .lines
                    .iter()
                    .map(|line| (line.number, comment(part, line, line.exchange_in(&numbers))));
                comments.extend(told);
            }
        }
        comments
    }
}

impl Line {
    /// The number of its exchange, `numbers` being those of its flow's.
    pub(crate) fn exchange_in(&self, numbers: &[Option<u64>]) -> Option<u64> {
        let nth = usize::try_from(self.exchange?.checked_sub(1)?).ok()?;
        *numbers.get(nth)?
    }
}

fn comment(part: &TracedTarget, line: &Line, exchange: Option<u64>) -> String {
    let role = line.role.name();
    let of = exchange.map_or_else(String::new, |exchange| format!(" of exchange {exchange}"));
    format!("{} {role}{of}: {}", part.title, explanation(line))
}

/// What a packet does, in words.
pub(crate) fn explanation(line: &Line) -> String {
    let who = if line.to_server { "the client" } else { "the server" };
    let bytes = line.sizes.payload;
    let mut text = match line.role {
        Role::ConnectionRequest => "the client asks for a connection (SYN)".to_owned(),
        Role::Acceptance => "the server accepts it (SYN, ACK)".into(),
        Role::Acknowledgement => format!("{who} has got what came (ACK)"),
        Role::Request => format!("{bytes} bytes for the server"),
        Role::Reply => format!("{bytes} bytes for the client"),
        Role::Close => format!("{who} has nothing more to say (FIN)"),
        Role::Reset => format!("{who} breaks the connection off (RST)"),
        Role::Retransmission => format!("{who} sends again what was not acknowledged"),
        Role::OutOfOrder => format!("{who}'s bytes came behind later ones"),
        Role::IcmpError => line.icmp.map_or_else(String::new, |icmp| icmp.to_string()),
        Role::Fragment => "a later piece of a packet that was too long".into(),
    };
    if let Some(also) = line.also {
        text.push_str(", ");
        text.push_str(also);
    }
    if line.is_cut {
        text.push_str(", cut by the capture");
    }
    text
}
