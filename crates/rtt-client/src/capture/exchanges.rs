//! Finds the exchanges of a flow: which request and which reply belong together.
//!
//! [`datagrams`] compares the contents of datagrams. [`stream`] divides the two byte streams of a connection.

pub(crate) mod datagrams;
pub(crate) mod stream;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The times of a request and its reply in the capture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WireExchange {
    /// The time of the first packet of the request, since 1970-01-01 00:00 UTC.
    pub(crate) request: Duration,
    /// The time of the last packet of the reply.
    pub(crate) reply: Option<Duration>,
}

impl WireExchange {
    /// The time from the first packet of the request to the last packet of the reply.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.reply?.checked_sub(self.request)
    }
}

/// The exchanges of one flow. Their numbers start at 1.
///
/// The map contains an exchange only if a part of its request was captured. The number of a forged packet can be
/// billions higher than the other numbers. Such a packet adds only its own exchange, and not the exchanges before it.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    by_number: BTreeMap<u64, WireExchange>,
}

impl Exchanges {
    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// The exchanges, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &WireExchange> {
        self.by_number.values()
    }

    /// The numbers of the exchanges, in ascending order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.by_number.keys().copied()
    }

    /// The exchange with this number.
    pub(crate) fn get(&self, number: u64) -> Option<&WireExchange> {
        self.by_number.get(&number)
    }

    /// The highest number of an exchange.
    pub(crate) fn latest(&self) -> Option<u64> {
        self.by_number.last_key_value().map(|(number, _)| *number)
    }

    /// Starts the next exchange. `request` is the time of the request. Returns the number of the exchange.
    pub(crate) fn start(&mut self, request: Duration) -> u64 {
        let number = self.latest().map_or(1, |latest| latest.saturating_add(1));
        self.start_number(number, request);
        number
    }

    /// Starts the exchange with this number, unless it exists.
    pub(crate) fn start_number(&mut self, number: u64, request: Duration) {
        self.by_number.entry(number).or_insert(WireExchange { request, reply: None });
    }

    /// Stores the time of a packet of the reply. This time replaces the time of an earlier packet.
    pub(crate) fn record_reply(&mut self, number: u64, time: Duration) {
        if let Some(exchange) = self.by_number.get_mut(&number) {
            exchange.reply = Some(time);
        }
    }

    /// Stores the time of the last packet of several replies. Does not change an exchange that has a reply.
    fn record_complete_replies(&mut self, numbers: RangeInclusive<u64>, time: Duration) {
        if numbers.is_empty() {
            return;
        }
        for exchange in self.by_number.range_mut(numbers).map(|(_, exchange)| exchange) {
            exchange.reply.get_or_insert(time);
        }
    }
}
