//! Packets of every kind of capture, whole and cut.

use super::*;
use proptest::prelude::*;

/// A datagram with `hello` in it from 10.0.0.1:5555 to 10.0.0.2:25000, as IP has it.
fn udp4() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend([0x15, 0xb3, 0x61, 0xa8, 0, 13, 0, 0]);
    packet.extend(b"hello");
    packet
}

/// The same over IPv6, from `fd00::1` to `fd00::2`.
fn udp6() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 13, 17, 64];
    for host in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    packet.extend(&udp4()[20..]);
    packet
}

/// A segment with twelve bytes of options and `hi`.
fn tcp4() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 54, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend([0x15, 0xb3, 0x2e, 0xe0, 0, 0, 0, 7, 0, 0, 0, 9, 0x80, 0x18, 1, 0, 0, 0, 0, 0]);
    packet.extend([1; 12]);
    packet.extend(b"hi");
    packet
}

fn ethernet(kind: u16, rest: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &kind.to_be_bytes(), rest].concat()
}

fn captured(link: LinkType, bytes: Vec<u8>) -> CapturedPacket {
    CapturedPacket { time: Duration::ZERO, original: bytes.len(), bytes, link, interface: 0 }
}

#[test]
fn every_kind_of_capture_has_the_same_in_it() {
    let vlan = [&[0, 5, 8, 0][..], &udp4()].concat();
    let two_vlans = [&[0, 6, 0x81, 0, 0, 5, 8, 0][..], &udp4()].concat();
    for (link, bytes, header) in [
        (LinkType::Raw, udp4(), 0),
        (LinkType::Ethernet, ethernet(0x0800, &udp4()), 14),
        (LinkType::Ethernet, ethernet(0x8100, &vlan), 18),
        (LinkType::Ethernet, ethernet(0x88a8, &two_vlans), 22),
        (LinkType::Null, [&[2, 0, 0, 0][..], &udp4()].concat(), 4),
        (LinkType::Cooked, [&[0; 14][..], &[8, 0], &udp4()].concat(), 16),
        (LinkType::Cooked2, [&[8, 0][..], &[0; 18], &udp4()].concat(), 20),
    ] {
        let packet = dissect(&captured(link, bytes)).unwrap_or_else(|| panic!("{link:?}"));
        assert_eq!(packet.sizes, HeaderSizes { link: header, ip: 20, transport: 8, payload: 5 });
        assert_eq!(
            (packet.what, &packet.payload[..]),
            (PacketKind::Udp, &b"hello"[..]),
            "{link:?}"
        );
        assert_eq!(packet.from, "10.0.0.1:5555".parse().unwrap());
        assert_eq!(packet.to, "10.0.0.2:25000".parse().unwrap());
        assert!(!packet.is_truncated);
    }
    let six = dissect(&captured(LinkType::Ethernet, ethernet(0x86dd, &udp6()))).unwrap();
    assert_eq!(six.sizes, HeaderSizes { link: 14, ip: 40, transport: 8, payload: 5 });
    assert_eq!(six.to, "[fd00::2]:25000".parse().unwrap());
}

#[test]
fn loopback_packets_of_a_cooked_capture_are_shown_once() {
    for (direction, is_shown) in [(0, true), (4, false)] {
        let mut cooked = [&[0; 14][..], &[8, 0], &udp4()].concat();
        cooked[..4].copy_from_slice(&[0, direction, 3, 4]);
        assert_eq!(dissect(&captured(LinkType::Cooked, cooked)).is_some(), is_shown);
        let mut cooked2 = [&[8, 0][..], &[0; 18], &udp4()].concat();
        cooked2[8..11].copy_from_slice(&[3, 4, direction]);
        assert_eq!(dissect(&captured(LinkType::Cooked2, cooked2)).is_some(), is_shown);
    }
}

#[test]
fn a_segments_header_is_read_with_its_options() {
    let packet = dissect(&captured(LinkType::Raw, tcp4())).unwrap();
    assert_eq!(packet.sizes, HeaderSizes { link: 0, ip: 20, transport: 32, payload: 2 });
    let PacketKind::Tcp(segment) = packet.what else { panic!("{packet:?}") };
    assert_eq!((segment.sequence, segment.acknowledged), (7, 9));
    assert_eq!((segment.ack, segment.syn, segment.fin, segment.rst), (true, false, false, false));
    assert_eq!(packet.payload, b"hi");
}

#[test]
fn what_ethernet_pads_is_no_payload() {
    let padded = [ethernet(0x0800, &udp4()), vec![0; 13]].concat();
    let packet = dissect(&captured(LinkType::Ethernet, padded)).unwrap();
    assert_eq!((packet.sizes.payload, &packet.payload[..]), (5, &b"hello"[..]));
}

#[test]
fn a_cut_packet_has_its_sizes_all_the_same() {
    let whole = captured(LinkType::Ethernet, ethernet(0x0800, &tcp4()));
    let cut = CapturedPacket { bytes: whole.bytes[..60].to_vec(), ..whole.clone() };
    let packet = dissect(&cut).unwrap();
    assert!(packet.is_truncated);
    assert_eq!(packet.sizes, dissect(&whole).unwrap().sizes);
    assert_eq!(packet.payload, b"");
    // Not even the header's end is there.
    let shorter = CapturedPacket { bytes: whole.bytes[..40].to_vec(), ..whole };
    assert_eq!(dissect(&shorter), None);
}

#[test]
fn an_icmp_error_is_of_the_flow_that_it_quotes() {
    let mut message = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 254, 10, 0, 0, 1];
    message.extend([3, 13, 0, 0, 0, 0, 0, 0]);
    message.extend(&udp4()[..28]);
    let length = u16::try_from(message.len()).unwrap();
    message[2..4].copy_from_slice(&length.to_be_bytes());
    let packet = dissect(&captured(LinkType::Raw, message.clone())).unwrap();
    let PacketKind::Icmp { icmp, protocol, from, to } = packet.what else { panic!("{packet:?}") };
    assert_eq!((icmp.kind, icmp.code, protocol), (3, 13, 17));
    assert_eq!(icmp.from, Some("10.0.0.254".parse().unwrap()));
    assert_eq!((from, to), ("10.0.0.1:5555".parse().unwrap(), "10.0.0.2:25000".parse().unwrap()));
    // A ping is no error.
    message[20] = 8;
    assert_eq!(dissect(&captured(LinkType::Raw, message)), None);
}

#[test]
fn a_later_fragment_is_one() {
    let mut later = udp4();
    later[6..8].copy_from_slice(&[0, 3]);
    let packet = dissect(&captured(LinkType::Raw, later)).unwrap();
    assert_eq!(packet.what, PacketKind::Fragment { protocol: 17 });
    assert_eq!((packet.sizes.payload, packet.from.port()), (13, 0));
}

#[test]
fn extension_headers_are_looked_behind() {
    let mut packet = udp6();
    // Hop-by-hop options of 8 bytes and a first fragment's header.
    packet[6] = 0;
    let extensions = [44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7];
    packet.splice(40..40, extensions);
    packet[5] += 16;
    let first = dissect(&captured(LinkType::Raw, packet.clone())).unwrap();
    assert_eq!(first.sizes, HeaderSizes { link: 0, ip: 56, transport: 8, payload: 5 });
    assert_eq!((first.what, &first.payload[..]), (PacketKind::Udp, &b"hello"[..]));
    packet[40 + 8 + 3] = 0x09;
    let later = dissect(&captured(LinkType::Raw, packet.clone())).unwrap();
    assert_eq!(later.what, PacketKind::Fragment { protocol: 17 });
    // One that claims to be longer than the packet.
    packet[41] = 255;
    assert_eq!(dissect(&captured(LinkType::Raw, packet)), None);
}

#[test]
fn other_protocols_are_left_out() {
    assert_eq!(dissect(&captured(LinkType::Ethernet, ethernet(0x0806, &[0; 28]))), None);
    assert_eq!(dissect(&captured(LinkType::Other(147), udp4())), None);
    assert_eq!(dissect(&captured(LinkType::Raw, Vec::new())), None);
}

proptest! {
    #[test]
    fn no_bytes_break_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        original in 0..70_000_usize,
        kind in 0..6_usize,
        base in 0..4_usize,
    ) {
        let link = [LinkType::Ethernet, LinkType::Raw, LinkType::Null, LinkType::Cooked, LinkType::Cooked2, LinkType::Other(9)][kind];
        let mut bytes = [bytes, udp4(), ethernet(0x86dd, &udp6()), ethernet(0x0800, &tcp4())][base].clone();
        for (place, byte) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let captured = CapturedPacket { time: Duration::ZERO, original, bytes, link, interface: 0 };
        if let Some(packet) = dissect(&captured) {
            prop_assert!(packet.payload.len() <= packet.sizes.payload);
            prop_assert!(packet.payload.len() <= captured.bytes.len());
        }
    }
}
