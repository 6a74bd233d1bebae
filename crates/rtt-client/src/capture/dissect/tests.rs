//! Tests with packets of every link type: complete, truncated and random.

use super::*;
use crate::capture::file::LinkType;
use crate::capture::script::dissector_of;
use proptest::prelude::*;

/// An IPv4 datagram with the payload `hello` from 10.0.0.1:5555 to 10.0.0.2:25000.
fn udp_over_ipv4() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend([0x15, 0xb3, 0x61, 0xa8, 0, 13, 0, 0]);
    packet.extend(b"hello");
    packet
}

/// The same datagram over IPv6, from `fd00::1` to `fd00::2`.
fn udp_over_ipv6() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 13, 17, 64];
    for host in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    packet.extend(&udp_over_ipv4()[20..]);
    packet
}

/// A TCP segment over IPv4 with 12 bytes of TCP options and the payload `hi`.
fn tcp_over_ipv4() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 54, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend([0x15, 0xb3, 0x2e, 0xe0, 0, 0, 0, 7, 0, 0, 0, 9, 0x80, 0x18, 1, 0, 0, 0, 0, 0]);
    packet.extend([1; 12]);
    packet.extend(b"hi");
    packet
}

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ether_type.to_be_bytes(), payload].concat()
}

fn captured(link_type: LinkType, bytes: Vec<u8>) -> CapturedPacket {
    let original_length = bytes.len();
    CapturedPacket { time: Duration::ZERO, original_length, bytes, link_type, interface: 0 }
}

/// An ICMP error from a router about the beginning of a packet from 10.0.0.1.
fn icmp_error_about(quoted: &[u8]) -> Vec<u8> {
    let mut message = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 254, 10, 0, 0, 1];
    message.extend([3, 13, 0, 0, 0, 0, 0, 0]);
    message.extend(quoted);
    let length = u16::try_from(message.len()).unwrap();
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

/// The part of a packet that belongs to its protocol. The test fails for ICMP errors and fragments.
fn packet_of(packet: &Packet) -> &ProtocolPacket {
    match &packet.kind {
        PacketKind::Protocol(packet) => packet,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn every_link_type_gives_the_same_datagram() {
    let vlan = [&[0, 5, 8, 0][..], &udp_over_ipv4()].concat();
    let two_vlans = [&[0, 6, 0x81, 0, 0, 5, 8, 0][..], &udp_over_ipv4()].concat();
    for (link_type, bytes, link_header) in [
        (LinkType::Raw, udp_over_ipv4(), 0),
        (LinkType::Ethernet, ethernet(0x0800, &udp_over_ipv4()), 14),
        (LinkType::Ethernet, ethernet(0x8100, &vlan), 18),
        (LinkType::Ethernet, ethernet(0x88a8, &two_vlans), 22),
        (LinkType::Null, [&[2, 0, 0, 0][..], &udp_over_ipv4()].concat(), 4),
        (LinkType::Cooked, [&[0; 14][..], &[8, 0], &udp_over_ipv4()].concat(), 16),
        (LinkType::Cooked2, [&[8, 0][..], &[0; 18], &udp_over_ipv4()].concat(), 20),
    ] {
        let packet =
            dissect(&captured(link_type, bytes)).unwrap_or_else(|| panic!("{link_type:?}"));
        let sizes = LayerSizes { link: link_header, ip: 20, transport: 8, payload: 5 };
        assert_eq!(packet.sizes, sizes, "{link_type:?}");
        assert_eq!(packet.payload, b"hello", "{link_type:?}");
        let expected = ProtocolPacket {
            dissector: dissector_of("udp"),
            source: "10.0.0.1:5555".parse().unwrap(),
            destination: "10.0.0.2:25000".parse().unwrap(),
            header: udp_over_ipv4()[20..28].to_vec(),
        };
        assert_eq!(*packet_of(&packet), expected, "{link_type:?}");
        assert!(!packet.is_truncated);
    }
    let packet =
        dissect(&captured(LinkType::Ethernet, ethernet(0x86dd, &udp_over_ipv6()))).unwrap();
    assert_eq!(packet.sizes, LayerSizes { link: 14, ip: 40, transport: 8, payload: 5 });
    assert_eq!(packet_of(&packet).destination, "[fd00::2]:25000".parse().unwrap());
}

#[test]
fn loopback_packet_in_a_cooked_capture_is_dissected_once() {
    for (packet_type, is_dissected) in [(0, true), (4, false)] {
        let mut cooked = [&[0; 14][..], &[8, 0], &udp_over_ipv4()].concat();
        cooked[..4].copy_from_slice(&[0, packet_type, 3, 4]);
        assert_eq!(dissect(&captured(LinkType::Cooked, cooked)).is_some(), is_dissected);
        let mut cooked2 = [&[8, 0][..], &[0; 18], &udp_over_ipv4()].concat();
        cooked2[8..11].copy_from_slice(&[3, 4, packet_type]);
        assert_eq!(dissect(&captured(LinkType::Cooked2, cooked2)).is_some(), is_dissected);
    }
}

#[test]
fn tcp_header_is_read_with_its_options() {
    let packet = dissect(&captured(LinkType::Raw, tcp_over_ipv4())).unwrap();
    assert_eq!(packet.sizes, LayerSizes { link: 0, ip: 20, transport: 32, payload: 2 });
    assert_eq!(packet_of(&packet).header, tcp_over_ipv4()[20..52]);
    assert_eq!(packet.payload, b"hi");
}

#[test]
fn ethernet_padding_is_not_payload() {
    let padded = [ethernet(0x0800, &udp_over_ipv4()), vec![0; 13]].concat();
    let packet = dissect(&captured(LinkType::Ethernet, padded)).unwrap();
    assert_eq!((packet.sizes.payload, &packet.payload[..]), (5, &b"hello"[..]));
}

#[test]
fn truncated_packet_has_the_sizes_of_the_original_packet() {
    let whole = captured(LinkType::Ethernet, ethernet(0x0800, &tcp_over_ipv4()));
    let within_options = CapturedPacket { bytes: whole.bytes[..60].to_vec(), ..whole.clone() };
    let packet = dissect(&within_options).unwrap();
    assert!(packet.is_truncated);
    assert_eq!(packet.sizes, dissect(&whole).unwrap().sizes);
    assert_eq!(packet.payload, b"");
    let within_fixed_header = CapturedPacket { bytes: whole.bytes[..40].to_vec(), ..whole };
    assert_eq!(dissect(&within_fixed_header), None);
}

#[test]
fn icmp_error_contains_the_addresses_of_the_quoted_packet() {
    for (quoted, protocol) in [(udp_over_ipv4(), "udp"), (tcp_over_ipv4(), "tcp")] {
        // RFC 792 requires the IP header and 8 bytes.
        let mut message = icmp_error_about(&quoted[..28]);
        let packet = dissect(&captured(LinkType::Raw, message.clone())).unwrap();
        let PacketKind::IcmpError { error, quoted } = packet.kind else { panic!("{packet:?}") };
        assert_eq!((error.kind, error.code), (3, 13));
        assert_eq!(error.from, Some("10.0.0.254".parse().unwrap()));
        assert_eq!(quoted.dissector, dissector_of(protocol));
        assert_eq!(quoted.source, "10.0.0.1:5555".parse().unwrap());
        assert_eq!(quoted.destination.ip(), "10.0.0.2".parse::<IpAddr>().unwrap());
        // An echo request (ping) is not an error.
        message[20] = 8;
        assert_eq!(dissect(&captured(LinkType::Raw, message)), None);
    }
}

#[test]
fn icmp_error_with_a_truncated_or_forged_quoted_packet_is_skipped() {
    for quoted in [udp_over_ipv4(), tcp_over_ipv4()] {
        let is_skipped =
            |quoted: &[u8]| dissect(&captured(LinkType::Raw, icmp_error_about(quoted))).is_none();
        // The ports end after the bytes of the IP header (20) and 4 bytes.
        for length in 0..24 {
            assert!(is_skipped(&quoted[..length]), "{length}");
        }
        assert!(!is_skipped(&quoted[..24]));
        let changed = |index: usize, byte: u8| {
            let mut quoted = quoted.clone();
            quoted[index] = byte;
            quoted
        };
        // Not the source to which the error was sent; an IP header with 60 bytes; IPv6; a packet with 20 bytes; a later
        // fragment; a protocol that is not registered.
        for (index, byte) in [(15, 9), (0, 0x4f), (0, 0x65), (3, 20), (7, 3), (9, 200)] {
            assert!(is_skipped(&changed(index, byte)), "{index} {byte}");
        }
    }
}

#[test]
fn icmp_of_the_other_ip_version_is_no_icmp_error() {
    let mut message = icmp_error_about(&udp_over_ipv4());
    message[9] = 58;
    assert_eq!(dissect(&captured(LinkType::Raw, message)), None);
}

#[test]
fn fragment_after_the_first_has_a_payload_and_no_ports() {
    let mut later = udp_over_ipv4();
    later[6..8].copy_from_slice(&[0, 3]);
    let packet = dissect(&captured(LinkType::Raw, later)).unwrap();
    assert_eq!(packet.kind, PacketKind::Fragment { ip_protocol: 17 });
    assert_eq!((packet.sizes.payload, packet.source), (13, "10.0.0.1".parse().unwrap()));
}

#[test]
fn ipv6_extension_headers_are_skipped() {
    let mut packet = udp_over_ipv6();
    // Hop-by-hop options of 8 bytes, then the fragment header of a first fragment.
    packet[6] = 0;
    let extensions = [44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7];
    packet.splice(40..40, extensions);
    packet[5] += 16;
    let first = dissect(&captured(LinkType::Raw, packet.clone())).unwrap();
    assert_eq!(first.sizes, LayerSizes { link: 0, ip: 56, transport: 8, payload: 5 });
    assert_eq!(packet_of(&first).dissector, dissector_of("udp"));
    assert_eq!(first.payload, b"hello");
    packet[40 + 8 + 3] = 0x09;
    let later = dissect(&captured(LinkType::Raw, packet.clone())).unwrap();
    assert_eq!(later.kind, PacketKind::Fragment { ip_protocol: 17 });
    // An extension header that extends beyond the end of the packet.
    packet[41] = 255;
    assert_eq!(dissect(&captured(LinkType::Raw, packet)), None);
}

#[test]
fn unsupported_protocols_and_link_types_give_no_packet() {
    let arp = ethernet(0x0806, &[0; 28]);
    assert_eq!(dissect(&captured(LinkType::Ethernet, arp)), None);
    assert_eq!(dissect(&captured(LinkType::Other(147), udp_over_ipv4())), None);
    assert_eq!(dissect(&captured(LinkType::Raw, Vec::new())), None);
}

#[test]
fn packet_has_no_more_bytes_than_the_interface_reported() {
    // The IP header describes 65,535 bytes. The packet has 33.
    let mut bytes = udp_over_ipv4();
    bytes[2..4].copy_from_slice(&[0xff, 0xff]);
    let packet = dissect(&captured(LinkType::Raw, bytes.clone())).unwrap();
    assert_eq!((packet.sizes.total(), packet.payload.len()), (33, 5));
    // The rest of the packet was not captured.
    let truncated = CapturedPacket { original_length: 65_535, ..captured(LinkType::Raw, bytes) };
    let packet = dissect(&truncated).unwrap();
    assert_eq!(
        (packet.sizes.total(), packet.payload.len(), packet.is_truncated),
        (65_535, 5, true)
    );
}

#[test]
fn number_of_extension_headers_has_a_limit() {
    let with_headers = |count: usize| {
        let datagram = udp_over_ipv6();
        // Destination options (60) with 8 bytes.
        let headers = [60, 0, 1, 4, 0, 0, 0, 0].repeat(count);
        let mut packet = [&datagram[..40], &headers, &datagram[40..]].concat();
        packet[6] = 60;
        packet[40 + 8 * (count - 1)] = 17;
        let length = u16::try_from(packet.len() - 40).unwrap();
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        dissect(&captured(LinkType::Raw, packet))
    };
    assert_eq!(with_headers(16).unwrap().sizes.ip, 40 + 16 * 8);
    assert_eq!(with_headers(17), None);
    assert_eq!(with_headers(7000), None);
}

#[test]
fn nested_icmp_errors_are_skipped() {
    let mut packet = udp_over_ipv4();
    for depth in 0..20 {
        packet = icmp_error_about(&packet);
        // Each error is about a packet of the same host, so only the nesting differs.
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        let is_readable = dissect(&captured(LinkType::Raw, packet.clone())).is_some();
        assert_eq!(is_readable, depth == 0, "{depth}");
    }
}

proptest! {
    #[test]
    fn random_bytes_cause_no_panic(
        random in proptest::collection::vec(any::<u8>(), 0..200),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        original_length in 0..70_000_usize,
        link_type in prop::sample::select(vec![
            LinkType::Ethernet, LinkType::Raw, LinkType::Null, LinkType::Cooked,
            LinkType::Cooked2, LinkType::Other(9),
        ]),
        base in 0..5_usize,
    ) {
        let mut bytes = match base {
            0 => random,
            1 => udp_over_ipv4(),
            2 => ethernet(0x86dd, &udp_over_ipv6()),
            3 => icmp_error_about(&tcp_over_ipv4()),
            _ => ethernet(0x0800, &tcp_over_ipv4()),
        };
        for (index, byte) in changes {
            if !bytes.is_empty() {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
        }
        let captured =
            CapturedPacket { time: Duration::ZERO, original_length, bytes, link_type, interface: 0 };
        if let Some(packet) = dissect(&captured) {
            prop_assert!(packet.payload.len() <= packet.sizes.payload);
            prop_assert!(packet.payload.len() <= captured.bytes.len());
            if let PacketKind::Protocol(packet) | PacketKind::IcmpError { quoted: packet, .. } =
                packet.kind
            {
                prop_assert!(packet.header.len() <= MAX_KEPT_HEADER);
            }
        }
    }
}
