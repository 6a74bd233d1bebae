//! The UDP transport: a connected UDP socket.
//!
//! Connecting a UDP socket sends no packet, but it changes what the socket receives. The socket receives no datagrams from
//! other addresses; [`OtherSources`] receives them, so that the client can report them. By default, the kernel reports
//! only the ICMP errors that it classifies as permanent.

use super::facts::{FACTS, HEADER_LEN};
use super::system::{OtherSources, checksum_errors};
use crate::model::breakdown::TimestampId;
use crate::model::receive_queue::{ReceiveDrops, ReceiveQueue};
use crate::model::traffic::Traffic;
use crate::net::connectionless;
use crate::net::datagram_counter::DatagramCounter;
use crate::net::limitation::Limitation;
use crate::net::socket::{BufferedSocket, OperationError};
use crate::net::system::{NetworkError, WaitUntil, path_mtu};
use crate::net::transport::{
    OpenAttempt, OpenConfig, OtherDatagram, Received, SentRequest, SocketError, Transport,
};
use echo_core::Stamp;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use tracing::debug;

struct Udp {
    socket: BufferedSocket,
    /// `None` if the system does not support it.
    others: Option<OtherSources>,
    /// The local port, if the user selected it and servers of this project do not reply to it.
    refused_port: Option<u16>,
    counter: DatagramCounter,
    /// The datagrams with a wrong checksum on this host when the socket was opened. 0 if they were not read. Then all of them
    /// count as later ones.
    checksum_errors_at_open: u64,
}

/// Opens a socket that is connected to `peer`.
pub(super) fn open(peer: SocketAddr, config: OpenConfig<'_>) -> Result<OpenAttempt, SocketError> {
    connectionless::open_with(&FACTS, peer, || Udp::open(peer, config))
}

impl Udp {
    fn open(peer: SocketAddr, config: OpenConfig<'_>) -> Result<Self, OperationError> {
        let is_usable = |port| !echo_core::is_service_port(port) && port != peer.port();
        let mut socket = connectionless::connect_from_usable_port(peer, &config, is_usable)?;
        socket.receiver.enable_timestamps(&socket.inner);
        let others = OtherSources::open(&socket.inner)
            .inspect_err(|error| debug!(%error, "datagrams from other addresses are not received"));
        let port = socket.local().map(|local| local.port());
        Ok(Self {
            socket,
            others: others.ok(),
            refused_port: port.filter(|port| !is_usable(*port)),
            counter: DatagramCounter::new(HEADER_LEN as u64),
            // Only a series with a fixed rate has several replies in its queue. The read takes about 30 µs.
            checksum_errors_at_open: config
                .receiver
                .queue
                .and_then(|_| checksum_errors())
                .unwrap_or(0),
        })
    }
}

impl Transport for Udp {
    fn local(&self) -> Option<SocketAddr> {
        self.socket.local()
    }

    fn send(&mut self, _: u64, request: &[u8], _: &AtomicBool) -> io::Result<SentRequest> {
        let stamp = Stamp::just_before();
        self.socket.inner.send(request)?;
        Ok(SentRequest { stamp, timestamp_id: self.counter.sent(request.len()) })
    }

    fn receive(&mut self, until: WaitUntil) -> io::Result<Received<'_>> {
        let received = self.socket.receive(until).map_err(|error| match error.kind() {
            // Windows reports an ICMP "port unreachable" as this error.
            io::ErrorKind::ConnectionReset => io::ErrorKind::ConnectionRefused.into(),
            _ => error,
        })?;
        if let Received::Bytes { bytes, .. } = &received {
            self.counter.received(bytes.len());
        }
        Ok(received)
    }

    fn network_errors(&mut self) -> Vec<NetworkError> {
        self.socket.network_errors()
    }

    fn transmitted(&mut self, timestamp_id: TimestampId) -> Option<SystemTime> {
        self.socket.receiver.transmitted(&self.socket.inner, timestamp_id.id?)
    }

    fn receive_queue(&self) -> Option<ReceiveQueue> {
        self.socket.queue()
    }

    fn drops_at_arrival(&self) -> Option<u64> {
        self.socket.drops_at_arrival()
    }

    fn drops(&self) -> Option<ReceiveDrops> {
        let total = self.socket.drops()?;
        let errors = if total > 0 { checksum_errors().unwrap_or(0) } else { 0 };
        let with_wrong_checksum = errors.saturating_sub(self.checksum_errors_at_open).min(total);
        Some(ReceiveDrops { total, with_wrong_checksum })
    }

    fn limitations(&self) -> Vec<Limitation> {
        let refused_port = self.refused_port.map(Limitation::RefusedSourcePort);
        self.socket.receiver.limitations().iter().cloned().chain(refused_port).collect()
    }

    fn path_mtu(&self) -> Option<u32> {
        path_mtu(&self.socket.inner)
    }

    fn datagrams_from_others(&mut self) -> Vec<OtherDatagram> {
        self.others.as_mut().map_or_else(Vec::new, OtherSources::receive)
    }

    fn traffic(&self) -> Option<Traffic> {
        self.counter.traffic(&self.socket.inner)
    }
}
