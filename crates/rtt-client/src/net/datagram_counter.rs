//! [`DatagramCounter`]: counts the datagrams of a socket and their bytes.

use crate::model::breakdown::TimestampId;
use crate::model::traffic::{Traffic, ip_header_len};
use crate::net::system::path_mtu;
use socket2::Socket;

/// The assumed MTU of the path if the system does not report it, in bytes. Every host accepts packets of this size (RFC
/// 791).
const DEFAULT_MTU: u64 = 576;

/// Counts the datagrams of a socket and their bytes.
#[derive(Debug)]
pub(crate) struct DatagramCounter {
    /// The length of the protocol's header, in bytes.
    header_len: u64,
    /// The numbers of datagrams and payload bytes. [`DatagramCounter::traffic`] adds the headers.
    payload: Traffic,
    /// The length of the longest datagram, in bytes.
    longest: usize,
}

impl DatagramCounter {
    /// Creates a counter. `header_len` is the length of the header between the IP header and the payload, in bytes.
    pub(crate) fn new(header_len: u64) -> Self {
        Self { header_len, payload: Traffic::default(), longest: 0 }
    }

    /// Counts a datagram that was sent. `len` is the length of its payload. Returns the identification of its transmit
    /// timestamp: the kernel counts the datagrams of a socket from 0.
    pub(crate) fn sent(&mut self, len: usize) -> TimestampId {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the kernel's counter has 32 bits and wraps"
        )]
        let id = self.payload.packets_out as u32;
        self.payload.packets_out += 1;
        self.payload.ip_bytes_out += len as u64;
        self.longest = self.longest.max(len);
        TimestampId { id: Some(id) }
    }

    /// Counts a datagram that was received. `len` is the length of its payload.
    pub(crate) fn received(&mut self, len: usize) {
        self.payload.packets_in += 1;
        self.payload.ip_bytes_in += len as u64;
        self.longest = self.longest.max(len);
    }

    /// The packets and their bytes with all headers. `None` if a datagram was sent in fragments, because their number is
    /// not known.
    pub(crate) fn traffic(&self, socket: &Socket) -> Option<Traffic> {
        let local = socket.local_addr().ok()?.as_socket()?;
        let header = self.header_len + ip_header_len(local);
        let mtu = path_mtu(socket).map_or(DEFAULT_MTU, u64::from);
        if self.longest as u64 + header > mtu {
            return None;
        }
        let Traffic { packets_out, packets_in, ip_bytes_out, ip_bytes_in, .. } = self.payload;
        Some(Traffic {
            ip_bytes_out: ip_bytes_out + packets_out * header,
            ip_bytes_in: ip_bytes_in + packets_in * header,
            ..self.payload
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn headers_count_for_each_datagram() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        let socket = Socket::from(socket);
        let mut counter = DatagramCounter::new(8);
        assert_eq!(counter.sent(10), TimestampId { id: Some(0) });
        assert_eq!(counter.sent(20), TimestampId { id: Some(1) });
        counter.received(5);
        let traffic = counter.traffic(&socket).unwrap();
        assert_eq!((traffic.packets_out, traffic.packets_in), (2, 1));
        assert_eq!((traffic.ip_bytes_out, traffic.ip_bytes_in), (30 + 2 * 28, 5 + 28));
        counter.received(70_000);
        assert!(counter.traffic(&socket).is_none(), "more than one packet");
    }
}
