//! Entry point for the fuzz target `icmp`: any host sends any packet to an ICMP socket.

use super::message::{self, Message, Packet, Version};
use super::sequence::SentRequests;
use super::transport::ErrorOrigin;
use crate::model::icmp::IcmpError;
use crate::net::system::NetworkError;

/// Parses a packet as a received packet, and as the packet that an ICMP error quotes. The socket has this identifier, and
/// it has sent the requests with these numbers.
pub fn receive_any_icmp_packet(is_v6: bool, identifier: u16, requests: [u32; 2], packet: &[u8]) {
    let version = if is_v6 { Version::V6 } else { Version::V4 };
    let [first, count] = requests;
    let mut sent = SentRequests::default();
    sent.add(first.into());
    sent.add(u64::from(first) + u64::from(count));
    if let Some(Packet { message, ttl }) = message::without_ip_header(version, packet) {
        message::has_correct_checksum(message);
        if let Message::Reply { sequence, payload } = message::parse(version, identifier, message) {
            assert!(payload.len() < message.len() && message.len() <= packet.len());
            assert!(ttl.is_none() || !is_v6);
            sent.newest_with(sequence);
        }
    }
    let error = NetworkError {
        icmp: IcmpError { is_v6, kind: 3, code: 1, from: None },
        errno: 113,
        request: None,
        mtu: None,
        quoted_payload: packet.to_vec(),
    };
    if let ErrorOrigin::ThisSocket(error) = ErrorOrigin::of(&error, version, identifier, &sent) {
        let number = error.request.unwrap_or(u64::MAX);
        assert!((first.into()..=u64::from(first) + u64::from(count)).contains(&number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::icmp::message::EchoId;

    #[test]
    fn packets_of_every_length_are_received() {
        let mut packet = vec![0x45; 20];
        let mut message = Vec::new();
        let id = EchoId { identifier: 7, sequence: 3 };
        message::write_request(&mut message, Version::V4, id, b"payload");
        packet.extend(message);
        for length in 0..=packet.len() {
            for is_v6 in [false, true] {
                receive_any_icmp_packet(is_v6, 7, [1, u32::MAX], &packet[..length]);
                receive_any_icmp_packet(is_v6, 7, [3, 0], &packet[20.min(length)..length]);
            }
        }
    }
}
