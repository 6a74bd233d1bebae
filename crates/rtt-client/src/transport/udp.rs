//! UDP: a datagram there, a datagram back.
//!
//! The socket is connected, which sends nothing: it makes the kernel drop datagrams from anybody else,
//! and hand over what ICMP errors its own datagrams cause, those that the kernel takes for final.

use super::wire::Wire;
use super::{Framing, OpenConfig, Opening, Protocol, Received, SocketError, Transport, failure_of};
use crate::breakdown::Marks;
use crate::system::Until;
use echo_core::Stamp;
use socket2::Type;
use std::io;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "udp",
    title: "UDP",
    about: "RTT over UDP: one exchange with its times, or a series",
    default_port: 25000,
    // 65,535 less 20 bytes of IPv4 header and 8 of UDP header.
    longest: 65_507,
    carries_empty: true,
    framing: Framing::Datagrams,
    open,
};

struct Udp {
    wire: Wire,
    /// How many datagrams have been sent: the kernel numbers its stamps by them.
    sent: u32,
}

fn open(peer: SocketAddr, config: OpenConfig) -> Result<Opening, SocketError> {
    let asked = Instant::now();
    let opened = Wire::new(peer, Type::DGRAM, config.bind, config.inlet).and_then(|wire| {
        // Connecting looks for a route, so the kernel can say here already that there is none.
        wire.socket.connect(&peer.into())?;
        wire.inlet.begin_stamping(&wire.socket)?;
        Ok(wire)
    });
    let transport = match opened {
        Ok(wire) => Ok(Box::new(Udp { wire, sent: 0 }) as Box<dyn Transport>),
        Err(error) => Err(failure_of(error, asked.elapsed()).map_err(|error| SocketError {
            operation: "opening a socket",
            protocol: PROTOCOL.title,
            address: peer,
            error,
        })?),
    };
    Ok(Opening { connection: None, transport })
}

impl Transport for Udp {
    fn local(&self) -> SocketAddr {
        self.wire.local()
    }

    fn send(&mut self, request: &[u8]) -> io::Result<(Stamp, Marks)> {
        let stamp = Stamp::just_before();
        self.wire.socket.send(request)?;
        let id = Some(self.sent);
        self.sent = self.sent.wrapping_add(1);
        Ok((stamp, Marks { id }))
    }

    fn receive(&mut self, until: Until) -> io::Result<Received<'_>> {
        self.wire.receive(until).map_err(|error| match error.kind() {
            // Windows tells so of an ICMP "port unreachable".
            io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionRefused.into(),
            _ => error,
        })
    }

    fn transmitted(&mut self, marks: Marks) -> Option<SystemTime> {
        self.wire.inlet.transmitted(&self.wire.socket, marks.id?)
    }
}
