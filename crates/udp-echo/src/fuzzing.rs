//! Entry point for the fuzz target `datagrams`: any datagrams arrive at the server. No socket is used.

pub use crate::datagram_io::Datagram;

use crate::admission::AdmissionPolicy;
use crate::datagram_io::{DatagramIo, datagram_count};
use crate::responder::{Responder, WorkerData};
use crate::{Config, DEFAULT_PORT, Totals};
use echo_service::RateLimit;
use std::time::Instant;

/// A server with a simulated kernel.
pub struct SimulatedServer {
    responder: Responder,
    io: DatagramIo,
    data: WorkerData,
}

impl SimulatedServer {
    /// A server with these limits on the default port.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { show_messages, allowed, rate, .. } = config;
        let own_ports = vec![DEFAULT_PORT];
        let policy = AdmissionPolicy { allowed, rate: RateLimit::new(rate), own_ports };
        Self {
            responder: Responder { policy, show_messages },
            io: DatagramIo::new(),
            data: WorkerData::new(Instant::now()),
        }
    }

    /// Answers buffers that arrive together. Returns the replies.
    pub fn answer(&mut self, datagrams: &[Datagram]) -> Vec<Datagram> {
        self.io.simulate_arrival(datagrams);
        let now = Instant::now();
        for request in 0..datagrams.len() {
            self.responder.respond(&mut self.io, request, now, &mut self.data);
        }
        let replies = std::mem::take(&mut self.data.replies);
        for reply in &replies {
            self.data.totals.answered += datagram_count(reply.payload.len(), reply.segment_size);
        }
        self.io.simulate_departure(&replies)
    }

    /// The counts of all datagrams so far.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.data.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_in_one_buffer_are_answered_separately() {
        let mut server = SimulatedServer::new(Config::default());
        let datagram = |peer: &str, payload: &str| Datagram {
            peer: peer.parse().expect("a socket address"),
            payload: payload.as_bytes().to_vec(),
            controls: Vec::new(),
        };
        let replies = server.answer(&[
            datagram("192.0.2.1:40000", "grows: \u{149}"),
            datagram("192.0.2.1:7", "from the port of a service"),
            datagram("[2001:db8::1]:40000", ""),
        ]);
        let expected =
            [datagram("192.0.2.1:40000", "GROWS: \u{2bc}N"), datagram("[2001:db8::1]:40000", "")];
        assert_eq!(replies, expected);
        let totals = server.totals();
        assert_eq!((totals.received, totals.answered, totals.refused_source_port), (3, 2, 1));
    }
}
