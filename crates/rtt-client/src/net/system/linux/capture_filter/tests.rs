//! Tests of the packet filter.

use super::*;
use crate::net::system::packet_filter::accepts_type;
use std::net::SocketAddr;

/// A capture for a protocol with ports.
fn config(peer: &str, ip_protocol: u8, link_header: u8) -> CaptureConfig {
    let peer: SocketAddr = peer.parse().unwrap();
    CaptureConfig {
        interface: 1,
        is_loopback: false,
        link_header,
        ip_protocol,
        peer: peer.ip(),
        port: Some(peer.port()),
    }
}

/// A capture for a protocol without ports.
fn config_without_port(peer: &str, ip_protocol: u8, link_header: u8) -> CaptureConfig {
    CaptureConfig { port: None, ..config(peer, ip_protocol, link_header) }
}

fn packet(from: &str, to: &str, protocol: u8, link_header: u8) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut packet = vec![0; usize::from(link_header)];
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            if link_header > 0 {
                packet[12..14].copy_from_slice(&[8, 0]);
            }
            let mut header = [0; 20];
            (header[0], header[9]) = (0x45, protocol);
            header[12..16].copy_from_slice(&source.octets());
            header[16..20].copy_from_slice(&destination.octets());
            packet.extend(header);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            if link_header > 0 {
                packet[12..14].copy_from_slice(&[0x86, 0xdd]);
            }
            let mut header = [0; 40];
            (header[0], header[6]) = (0x60, protocol);
            header[8..24].copy_from_slice(&source.octets());
            header[24..40].copy_from_slice(&destination.octets());
            packet.extend(header);
        }
        _ => panic!("addresses of two versions of IP"),
    }
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend([0; 8]);
    packet
}

/// Whether the program accepts a packet that this host sends (type `OUTGOING`) or receives (type 0). The address of this
/// host ends with 1.
fn accepts(program: &[FilterInstruction], from: &str, packet: &[u8]) -> bool {
    let from: SocketAddr = from.parse().unwrap();
    let is_outgoing = match from.ip() {
        IpAddr::V4(address) => address.octets().ends_with(&[1]),
        IpAddr::V6(address) => address.octets().ends_with(&[1]),
    };
    accepts_type(program, packet, if is_outgoing { OUTGOING } else { 0 })
}

/// An ICMP error from `router` to the client, about a packet with these endpoints.
fn icmp_error(router: &str, client: &str, kind: u8, quoted: [&str; 2], link_header: u8) -> Vec<u8> {
    let protocol = if router.starts_with('[') { 58 } else { 1 };
    let mut error = packet(router, client, protocol, link_header);
    // The ports of `packet` are the first four bytes of the ICMP header.
    error.truncate(error.len() - 4);
    let ip_header = if protocol == 58 { 40 } else { 20 };
    error[usize::from(link_header) + ip_header] = kind;
    error.extend(packet(quoted[0], quoted[1], 6, 0));
    error
}

#[test]
fn filter_accepts_only_packets_of_the_peer() {
    for (client, peer, other) in [
        ("10.0.0.1:5555", "10.0.0.2:7777", "10.0.0.3:7777"),
        ("[fd00::1]:5555", "[fd00::2]:7777", "[fd00::3]:7777"),
    ] {
        for link_header in [0, 14] {
            let program = program(&config(peer, 17, link_header));
            let accepts = |from, to, protocol| {
                accepts(&program, from, &packet(from, to, protocol, link_header))
            };
            assert!(accepts(client, peer, 17) && accepts(peer, client, 17), "{peer}");
            assert!(!accepts(client, other, 17) && !accepts(other, client, 17), "{peer}");
            assert!(!accepts(client, peer, 6) && !accepts(peer, client, 6), "{peer}");
            let other_port = &peer.replace("7777", "7778");
            assert!(!accepts(client, other_port, 17), "{peer}");
            assert!(!accepts(other_port, client, 17), "{peer}");
        }
    }
}

#[test]
fn filter_accepts_later_fragments_of_the_peer() {
    let configs =
        [(config("10.0.0.2:7777", 17, 14), 17), (config_without_port("10.0.0.2:0", 1, 14), 1)];
    for (config, protocol) in configs {
        let program = program(&config);
        for (from, to, is_accepted) in [
            ("10.0.0.1:1", "10.0.0.2:1", true),
            ("10.0.0.2:1", "10.0.0.1:1", true),
            ("10.0.0.1:1", "10.0.0.3:1", false),
        ] {
            let mut packet = packet(from, to, protocol, 14);
            packet[14 + 7] = 185;
            assert_eq!(accepts(&program, from, &packet), is_accepted, "{protocol}: {from} {to}");
        }
    }
}

#[test]
fn filter_accepts_fragments_over_ipv6_only_of_the_peer() {
    let program = program(&config("[fd00::2]:7777", 17, 14));
    for (from, to, is_accepted) in [
        ("[fd00::1]:1", "[fd00::2]:1", true),
        ("[fd00::2]:1", "[fd00::1]:1", true),
        ("[fd00::3]:1", "[fd00::1]:1", false),
    ] {
        let packet = packet(from, to, headers::IPV6_FRAGMENT, 14);
        assert_eq!(accepts(&program, from, &packet), is_accepted, "{from} {to}");
    }
}

#[test]
fn filter_drops_packets_with_a_forged_source() {
    for (client, peer, protocol) in [
        ("10.0.0.1:5555", "10.0.0.2:7777", 17),
        ("[fd00::1]:5555", "[fd00::2]:7777", 17),
        ("[fd00::1]:5555", "[fd00::2]:7777", headers::IPV6_FRAGMENT),
    ] {
        let program = program(&config(peer, 17, 14));
        for (from, to, packet_type, is_accepted) in [
            (client, peer, OUTGOING, true),
            (peer, client, 0, true),
            // Another host sends a packet with the address of this host.
            (client, peer, 0, false),
            // This host sends a packet with the address of the peer.
            (peer, client, OUTGOING, false),
        ] {
            let packet = packet(from, to, protocol, 14);
            let accepted = accepts_type(&program, &packet, packet_type);
            assert_eq!(accepted, is_accepted, "{from} {to} {packet_type}");
        }
    }
}

#[test]
fn filter_accepts_each_packet_on_loopback_once() {
    let config = CaptureConfig { is_loopback: true, ..config("127.0.0.1:7777", 17, 14) };
    let program = program(&config);
    for (from, to) in [("127.0.0.1:5", "127.0.0.1:7777"), ("127.0.0.1:7777", "127.0.0.1:5")] {
        let packet = packet(from, to, 17, 14);
        assert!(accepts_type(&program, &packet, 0) && !accepts_type(&program, &packet, OUTGOING));
    }
}

#[test]
fn filter_accepts_icmp_errors_about_the_peer_and_drops_pings() {
    for (router, client, peer, other, kinds) in [
        (
            "10.0.0.9:0",
            "10.0.0.1:5",
            "10.0.0.2:7777",
            "10.0.0.3:7777",
            [(3, true), (11, true), (8, false)],
        ),
        (
            "[fd00::9]:0",
            "[fd00::1]:5",
            "[fd00::2]:7777",
            "[fd00::3]:7777",
            [(1, true), (4, true), (128, false)],
        ),
    ] {
        for link_header in [0, 14] {
            let program = program(&config(peer, 6, link_header));
            let accepts = |kind, quoted| {
                let error = icmp_error(router, client, kind, quoted, link_header);
                accepts(&program, router, &error)
            };
            for (kind, is_error) in kinds {
                assert_eq!(accepts(kind, [client, peer]), is_error, "{peer} {kind}");
                // This host sends an error about a packet from the peer.
                assert_eq!(accepts(kind, [peer, client]), is_error, "{peer} {kind}");
                assert!(!accepts(kind, [client, other]), "{peer} {kind}");
                assert!(!accepts(kind, [other, client]), "{peer} {kind}");
            }
        }
    }
}

#[test]
fn filter_without_a_port_accepts_all_packets_of_the_protocol_and_the_peer() {
    for (client, peer, other, number, echo_types) in [
        ("10.0.0.1:5555", "10.0.0.2:0", "10.0.0.3:0", 1, [8, 0]),
        ("[fd00::1]:5555", "[fd00::2]:0", "[fd00::3]:0", 58, [128, 129]),
        ("10.0.0.1:5555", "10.0.0.2:0", "10.0.0.3:0", 253, [8, 0]),
        ("[fd00::1]:5555", "[fd00::2]:0", "[fd00::3]:0", 253, [128, 129]),
    ] {
        for link_header in [0, 14] {
            let program = program(&config_without_port(peer, number, link_header));
            let ip_header = if client.starts_with('[') { 40 } else { 20 };
            let accepts = |from, to, protocol, kind| {
                let mut packet = packet(from, to, protocol, link_header);
                packet[usize::from(link_header) + ip_header] = kind;
                accepts(&program, from, &packet)
            };
            for kind in echo_types {
                assert!(accepts(client, peer, number, kind), "{number} {kind}");
                assert!(accepts(peer, client, number, kind), "{number} {kind}");
                assert!(!accepts(client, other, number, kind), "{number} {kind}");
                assert!(!accepts(other, client, number, kind), "{number} {kind}");
                assert!(!accepts(client, peer, 17, kind) && !accepts(peer, client, 6, kind));
            }
            // Any host can send an ICMP error. The type 3 is an error in both versions of ICMP.
            let error = icmp_error(other, client, 3, [client, peer], link_header);
            assert!(accepts_type(&program, &error, 0), "{number}");
        }
    }
}

#[test]
fn filter_drops_packets_that_end_before_the_port() {
    let program = program(&config("10.0.0.2:7777", 17, 14));
    let whole = packet("10.0.0.1:5555", "10.0.0.2:7777", 17, 14);
    // The destination port is in the bytes 36 and 37: after the headers of Ethernet (14) and IPv4 (20) and the source
    // port (2).
    let complete = 38;
    assert!(accepts(&program, "10.0.0.1:5555", &whole[..complete]));
    for length in 0..complete {
        assert!(!accepts(&program, "10.0.0.1:5555", &whole[..length]), "{length}");
    }
}
