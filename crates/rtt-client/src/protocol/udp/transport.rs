//! UDP: a datagram there, a datagram back.
//!
//! The socket is connected, which sends nothing: it makes the kernel drop datagrams from anybody else,
//! and hand over what ICMP errors its own datagrams cause, those that the kernel takes for final.

use super::facts::FACTS;
use crate::model::breakdown::TimestampId;
use crate::model::traffic::Traffic;
use crate::net::socket::BufferedSocket;
use crate::net::system::{NetworkError, WaitUntil, path_mtu};
use crate::net::transport::{
    OpenAttempt, OpenConfig, Received, SocketError, SocketOperation, Transport, failure_with_cause,
    ip_header_len,
};
use echo_core::Stamp;
use socket2::Type;
use std::io;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

struct Udp {
    wire: BufferedSocket,
    /// How many datagrams have been sent: the kernel numbers its stamps by them.
    sent: u32,
    /// What has crossed the wire, the headers not yet counted.
    traffic: Traffic,
    /// The longest datagram there has been, in bytes.
    longest: usize,
}

/// A datagram's header, in bytes (RFC 768).
const HEADER: u64 = 8;

/// What every path carries in one packet, in bytes, headers included: IPv4's least for a host (RFC 791).
const MTU_OF_EVERY_PATH: u64 = 576;

pub(super) fn open(peer: SocketAddr, config: OpenConfig) -> Result<OpenAttempt, SocketError> {
    let asked = Instant::now();
    let opened =
        BufferedSocket::new(peer, Type::DGRAM, config.bind, config.receiver).and_then(|wire| {
            // Connecting looks for a route, so the kernel can say here already that there is none.
            wire.socket.connect(&peer.into())?;
            wire.receiver.enable_timestamps(&wire.socket)?;
            Ok(wire)
        });
    let transport = match opened {
        Ok(wire) => {
            let traffic = Traffic::default();
            Ok(Box::new(Udp { wire, sent: 0, traffic, longest: 0 }) as Box<dyn Transport>)
        }
        Err(error) => {
            Err(failure_with_cause(error, &[], asked.elapsed()).map_err(|error| SocketError {
                operation: SocketOperation::Create,
                protocol: FACTS.title,
                address: peer,
                error,
            })?)
        }
    };
    Ok(OpenAttempt { connection: None, transport })
}

impl Transport for Udp {
    fn local(&self) -> SocketAddr {
        self.wire.local()
    }

    fn send(&mut self, request: &[u8]) -> io::Result<(Stamp, TimestampId)> {
        let stamp = Stamp::just_before();
        self.wire.socket.send(request)?;
        let id = Some(self.sent);
        self.sent = self.sent.wrapping_add(1);
        self.traffic.packets_out += 1;
        self.traffic.ip_bytes_out += request.len() as u64;
        self.longest = self.longest.max(request.len());
        Ok((stamp, TimestampId { id }))
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let received = self.wire.receive(until).map_err(|error| match error.kind() {
            // Windows tells so of an ICMP "port unreachable".
            io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionRefused.into(),
            _ => error,
        })?;
        if let Received::Bytes { bytes, .. } = &received {
            self.traffic.packets_in += 1;
            self.traffic.ip_bytes_in += bytes.len() as u64;
            self.longest = self.longest.max(bytes.len());
        }
        Ok(received)
    }

    fn traffic(&self) -> Option<Traffic> {
        let header = HEADER + ip_header_len(self.local());
        let mtu = path_mtu(&self.wire.socket).map_or(MTU_OF_EVERY_PATH, u64::from);
        // A longer one comes in fragments, which nobody has counted.
        if self.longest as u64 + header > mtu {
            return None;
        }
        let Traffic { packets_out, packets_in, .. } = self.traffic;
        Some(Traffic {
            ip_bytes_out: self.traffic.ip_bytes_out + packets_out * header,
            ip_bytes_in: self.traffic.ip_bytes_in + packets_in * header,
            ..self.traffic
        })
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        self.wire.network_errors()
    }

    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime> {
        self.wire.receiver.transmitted(&self.wire.socket, timestamp_id.id?)
    }
}
