//! Finds the exchanges of a flow: which request and which reply belong together.
//!
//! [`datagrams`] compares the contents of datagrams. [`stream`] divides the two byte streams of a connection.

pub(crate) mod datagrams;
pub(crate) mod stream;

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
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    list: Vec<WireExchange>,
}

impl Exchanges {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &WireExchange> {
        self.list.iter()
    }

    /// The exchange at `index`. The first exchange has index 0.
    pub(crate) fn get(&self, index: usize) -> Option<&WireExchange> {
        self.list.get(index)
    }

    /// The number of the latest exchange.
    pub(crate) fn latest(&self) -> Option<u64> {
        Some(self.list.len() as u64).filter(|number| *number > 0)
    }

    /// Starts an exchange. `request` is the time of the request. Returns the number of the exchange.
    pub(crate) fn start(&mut self, request: Duration) -> u64 {
        self.list.push(WireExchange { request, reply: None });
        self.list.len() as u64
    }

    /// Stores the time of a packet of the reply. This time replaces the time of an earlier packet.
    pub(crate) fn record_reply(&mut self, number: u64, time: Duration) {
        if let Some(exchange) = index_of(number).and_then(|index| self.list.get_mut(index)) {
            exchange.reply = Some(time);
        }
    }

    /// Whether the exchange exists and has no reply.
    fn is_open(&self, number: u64) -> bool {
        let exchange = index_of(number).and_then(|index| self.list.get(index));
        exchange.is_some_and(|exchange| exchange.reply.is_none())
    }
}

fn index_of(number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}
