//! Rules for datagrams that the server does not answer, because the reply could be part of an attack. This
//! module does no I/O and reads no clock.
//!
//! A UDP server cannot verify the source address of a datagram. An attacker can send a datagram to one echo
//! server with the forged address of another echo server. If both servers follow RFC 862 and answer each
//! datagram, they answer each other forever (CVE-2024-2169). `docs/security.md` lists the guarantees of this
//! server.

use crate::datagram_io::ReceiveMeta;
use std::net::IpAddr;

/// The reason why the server does not answer a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The source port is the port of a service. Such a service could answer the reply.
    SourcePort,
    /// The source or the destination is a multicast, broadcast or unspecified address.
    NonUnicast,
    /// The datagram can be the reply of another server, and it has used up its hop limit.
    ServerLoop,
}

/// Maximum hop limit of a reply to a datagram that can be the reply of another server. RFC 1700 recommends
/// this value as the default of a system.
const MAX_REPLY_HOPS: u8 = 64;

/// Checks the source and the destination of a received buffer. `own_ports` are the ports of this server.
pub(crate) fn check_addresses(meta: &ReceiveMeta, own_ports: &[u16]) -> Result<(), Refusal> {
    let port = meta.peer.port();
    if echo_core::is_service_port(port) || own_ports.contains(&port) {
        return Err(Refusal::SourcePort);
    }
    let is_unicast = match meta.peer.ip() {
        IpAddr::V4(ip) => !(ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified()),
        IpAddr::V6(ip) => !(ip.is_multicast() || ip.is_unspecified()),
    };
    if meta.is_to_group || !is_unicast { Err(Refusal::NonUnicast) } else { Ok(()) }
}

/// The hop limit (TTL) of the replies to a received buffer. `None` means the default of the system.
///
/// A datagram can be the reply of another server. The hop limit of our reply is then one less than the
/// remaining hop limit of the datagram. It is at most [`MAX_REPLY_HOPS`]. A router reduces the hop limit in the
/// same way. If two servers answer each other, the hop limit reaches zero and the loop ends. All requests of
/// a client arrive with the same remaining hop limit, so a client can send any number of requests.
pub(crate) fn reply_hops(meta: &ReceiveMeta, payload: &[u8]) -> Result<Option<u8>, Refusal> {
    let Some(remaining) = meta.hops else { return Ok(None) };
    let could_be_a_reply =
        payload.is_empty() || payload.chunks(meta.segment_size).any(echo_core::could_be_a_reply);
    if !could_be_a_reply {
        return Ok(None);
    }
    match remaining.saturating_sub(1).min(MAX_REPLY_HOPS) {
        0 => Err(Refusal::ServerLoop),
        hops => Ok(Some(hops)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_service::ArrivalTime;
    use std::time::Instant;

    fn received_from(peer: &str) -> ReceiveMeta {
        ReceiveMeta {
            peer: peer.parse().unwrap(),
            is_to_group: false,
            hops: None,
            length: 4,
            segment_size: 4,
            arrival: ArrivalTime::Program(Instant::now()),
            queue_drops: None,
        }
    }

    #[test]
    fn ports_of_services_and_of_this_server_are_refused() {
        for port in [0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 520, 1023, 1900, 11_211]
        {
            let meta = received_from(&format!("192.0.2.1:{port}"));
            assert_eq!(check_addresses(&meta, &[]), Err(Refusal::SourcePort), "{port}");
        }
        let check = |peer| check_addresses(&received_from(peer), &[4000]);
        assert_eq!(check("192.0.2.1:25000"), Err(Refusal::SourcePort));
        assert_eq!(check("192.0.2.1:4000"), Err(Refusal::SourcePort));
        assert_eq!(check("192.0.2.1:4001"), Ok(()));
        assert_eq!(check("[2001:db8::1]:50000"), Ok(()));
    }

    #[test]
    fn default_port_belongs_to_a_service() {
        assert!(echo_core::is_service_port(crate::DEFAULT_PORT));
    }

    #[test]
    fn addresses_that_are_not_unicast_are_refused() {
        for peer in [
            "224.0.0.1:5000",
            "255.255.255.255:5000",
            "0.0.0.0:5000",
            "[ff02::1]:5000",
            "[::]:5000",
        ] {
            let meta = received_from(peer);
            assert_eq!(check_addresses(&meta, &[]), Err(Refusal::NonUnicast), "{peer}");
        }
        let to_group = ReceiveMeta { is_to_group: true, ..received_from("192.0.2.1:5000") };
        assert_eq!(check_addresses(&to_group, &[]), Err(Refusal::NonUnicast));
    }

    #[test]
    fn loop_of_two_servers_ends_but_client_can_repeat_its_request() {
        let received_with =
            |hops| ReceiveMeta { hops: Some(hops), ..received_from("192.0.2.1:5000") };
        let mut remaining = 255;
        let mut rounds = 0;
        while let Ok(Some(hops)) = reply_hops(&received_with(remaining), b"ECHO") {
            remaining = hops;
            rounds += 1;
        }
        assert_eq!(rounds, 64);
        // A text with lower-case letters cannot be a reply, so the rule does not apply.
        assert_eq!(reply_hops(&received_with(1), b"echo"), Ok(None));
        // An empty datagram can be a reply.
        assert_eq!(reply_hops(&received_with(1), b""), Err(Refusal::ServerLoop));
        // Without a reported hop limit, the rule does not apply.
        assert_eq!(reply_hops(&received_from("192.0.2.1:5000"), b"ECHO"), Ok(None));
        for _ in 0..1000 {
            assert_eq!(reply_hops(&received_with(57), b"ECHO"), Ok(Some(56)));
        }
    }
}
