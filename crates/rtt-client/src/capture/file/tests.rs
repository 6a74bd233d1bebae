//! Files of every kind, whole and broken.

use super::*;
use proptest::prelude::*;

fn packet(number: u8, length: usize) -> CapturedPacket {
    CapturedPacket {
        time: Duration::new(1_790_000_000 + u64::from(number), 123_456_789),
        original: length,
        bytes: vec![number; length],
        link: LinkType::Ethernet,
        interface: 0,
    }
}

fn written(packets: &[CapturedPacket], lost: Option<u64>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, "test 1").unwrap();
    writer.interface(LinkType::Ethernet, "lo", "a test").unwrap();
    for packet in packets {
        writer.packet(packet, "a comment, ü").unwrap();
    }
    writer.end(lost, Duration::from_secs(1)).unwrap();
    file
}

fn pcap(order: Order, nanoseconds: bool, packets: &[CapturedPacket]) -> Vec<u8> {
    let word = |number: u32| match order {
        Order::Little => number.to_le_bytes(),
        Order::Big => number.to_be_bytes(),
    };
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = Vec::new();
    for number in [magic, 0x0002_0004, 0, 0, 65_535, 1] {
        file.extend(word(number));
    }
    for packet in packets {
        let unit = if nanoseconds { 1 } else { 1000 };
        let length = u32::try_from(packet.bytes.len()).unwrap();
        let original = u32::try_from(packet.original).unwrap();
        let seconds = u32::try_from(packet.time.as_secs()).unwrap();
        for number in [seconds, packet.time.subsec_nanos() / unit, length, original] {
            file.extend(word(number));
        }
        file.extend(&packet.bytes);
    }
    file
}

#[test]
fn what_is_written_is_read() {
    let packets = [packet(1, 60), packet(2, 61), packet(3, 0), packet(4, 1514)];
    let contents = read(&written(&packets, Some(7))[..]).unwrap();
    assert_eq!(contents.packets, packets);
    assert_eq!((contents.lost, contents.broken), (Some(7), None));
}

#[test]
fn both_byte_orders_and_both_resolutions_of_pcap_are_read() {
    let packets = [packet(1, 60), packet(2, 61)];
    for order in [Order::Little, Order::Big] {
        let contents = read(&pcap(order, true, &packets)[..]).unwrap();
        assert_eq!(contents.packets, packets);
        let contents = read(&pcap(order, false, &packets)[..]).unwrap();
        assert_eq!(contents.packets[1].time.subsec_nanos(), 123_456_000);
    }
}

#[test]
fn a_pcapng_of_the_other_byte_order_and_resolution_is_read() {
    let word = |number: u32| number.to_be_bytes();
    let mut file = Vec::new();
    for number in [SECTION_AS_A_NUMBER, 28, 0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX, 28] {
        file.extend(word(number));
    }
    // An interface of IP itself, with times in 2^-10 seconds.
    for number in [1, 32, 101 << 16, 0, 9 << 16 | 1, 0x8a00_0000, 0, 32] {
        file.extend(word(number));
    }
    // A packet of two bytes of four, at a second and a half.
    for number in [6, 36, 0, 0, 1536, 2, 4, 0x4500_0000, 36] {
        file.extend(word(number));
    }
    let contents = read(&file[..]).unwrap();
    assert_eq!(contents.broken, None);
    let [packet] = &contents.packets[..] else { panic!("{contents:?}") };
    assert_eq!((packet.time, packet.link), (Duration::from_millis(1500), LinkType::Raw));
    assert_eq!((packet.original, &packet.bytes[..]), (4, &[0x45, 0][..]));
}

const SECTION_AS_A_NUMBER: u32 = 0x0a0d_0d0a;

#[test]
fn what_came_before_a_break_is_kept_and_the_break_is_told() {
    let packets = [packet(1, 60), packet(2, 61), packet(3, 62)];
    for whole in [written(&packets, None), pcap(Order::Little, true, &packets)] {
        let mut most = 0;
        for length in 4..whole.len() {
            let contents = read(&whole[..length]).unwrap();
            assert!(contents.packets.len() >= most, "{length}");
            most = contents.packets.len();
            assert_eq!(contents.packets[..], packets[..most], "{length}");
        }
        assert!(read(&whole[..whole.len() - 1]).unwrap().broken.is_some());
    }
    assert!(matches!(read(&b"GET"[..]), Err(FileError::Unknown)));
    assert!(matches!(read(&b"GET / HTTP/1.1"[..]), Err(FileError::Unknown)));
}

#[test]
fn lengths_are_not_believed() {
    for (at, bytes) in [(4, u32::MAX), (4, 0), (4, 13), (4, 0x7fff_fffc)] {
        let mut file = written(&[packet(1, 60)], None);
        file[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
        let contents = read(&file[..]).unwrap();
        assert!(contents.broken.is_some() && contents.packets.is_empty(), "{bytes}");
    }
    let mut file = pcap(Order::Little, true, &[packet(1, 60)]);
    file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(read(&file[..]).unwrap().broken.unwrap().contains("4294967295 bytes"));
}

#[test]
fn more_packets_than_the_bound_are_not_kept() {
    let mut file = pcap(Order::Little, true, &[]);
    let one = &pcap(Order::Little, true, &[packet(1, 0)])[24..];
    for _ in 0..=MAX_PACKETS {
        file.extend(one);
    }
    let contents = read(&file[..]).unwrap();
    assert_eq!(contents.packets.len(), MAX_PACKETS);
    assert!(contents.broken.unwrap().contains("100000"));
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..2000), kind in 0..5_usize) {
        let magic = [
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a][..],
            &[0xa1, 0xb2, 0xc3, 0xd4], &[0xd4, 0xc3, 0xb2, 0xa1], &[0x4d, 0x3c, 0xb2, 0xa1], &[],
        ][kind];
        let file = [magic, &bytes].concat();
        if let Ok(contents) = read(&file[..]) {
            let kept: usize = contents.packets.iter().map(|packet| packet.bytes.len()).sum();
            prop_assert!(kept <= file.len());
        }
    }

    #[test]
    fn no_corruption_breaks_the_reader_or_what_follows(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        kind in 0..2_usize,
    ) {
        let packets = [packet(1, 60), packet(2, 90)];
        let mut file = match kind {
            0 => written(&packets, Some(1)),
            _ => pcap(Order::Big, false, &packets),
        };
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        if let Ok(contents) = read(&file[..]) {
            for captured in &contents.packets {
                let _ = crate::capture::dissect::dissect(captured);
            }
        }
    }
}
