//! Tests with valid, truncated and corrupted files of both formats.

use super::*;
use proptest::prelude::*;
use std::time::Instant;

/// A packet of `length` bytes. Each byte is `number`.
fn packet(number: u8, length: usize) -> CapturedPacket {
    CapturedPacket {
        time: Duration::new(1_790_000_000 + u64::from(number), 123_456_789),
        original_length: length,
        bytes: vec![number; length],
        link_type: LinkType::Ethernet,
        interface: 0,
    }
}

fn pcapng_file(packets: &[CapturedPacket], dropped: Option<u64>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, "test 1").unwrap();
    let interface =
        InterfaceDescription { link_type: LinkType::Ethernet, name: "lo", description: "a test" };
    writer.write_interface(&interface).unwrap();
    for packet in packets {
        writer.write_packet(packet, "a comment, ü").unwrap();
    }
    writer.finish(dropped, Duration::from_secs(1)).unwrap();
    file
}

/// The time resolution of a pcap file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    Microseconds,
    Nanoseconds,
}

fn pcap_file(byte_order: ByteOrder, resolution: Resolution, packets: &[CapturedPacket]) -> Vec<u8> {
    let (magic, unit_ns) = match resolution {
        Resolution::Microseconds => (0xa1b2_c3d4, 1000),
        Resolution::Nanoseconds => (0xa1b2_3c4d, 1),
    };
    let mut file = Vec::new();
    for number in [magic, 0x0002_0004, 0, 0, 65_535, 1] {
        file.extend(byte_order.u32_to_bytes(number));
    }
    for packet in packets {
        let captured = u32::try_from(packet.bytes.len()).unwrap();
        let original = u32::try_from(packet.original_length).unwrap();
        let seconds = u32::try_from(packet.time.as_secs()).unwrap();
        for number in [seconds, packet.time.subsec_nanos() / unit_ns, captured, original] {
            file.extend(byte_order.u32_to_bytes(number));
        }
        file.extend(&packet.bytes);
    }
    file
}

#[test]
fn reader_returns_the_packets_that_the_writer_wrote() {
    let packets = [packet(1, 60), packet(2, 61), packet(3, 0), packet(4, 1514)];
    let contents = read(&pcapng_file(&packets, Some(7))[..]).unwrap();
    assert_eq!(contents.packets, packets);
    assert_eq!(contents.dropped, Some(7));
    assert!(contents.incomplete.is_none());
}

#[test]
fn pcap_is_read_in_both_byte_orders_and_both_resolutions() {
    let packets = [packet(1, 60), packet(2, 61)];
    for byte_order in [ByteOrder::Little, ByteOrder::Big] {
        let file = pcap_file(byte_order, Resolution::Nanoseconds, &packets);
        assert_eq!(read(&file[..]).unwrap().packets, packets);
        let file = pcap_file(byte_order, Resolution::Microseconds, &packets);
        assert_eq!(read(&file[..]).unwrap().packets[1].time.subsec_nanos(), 123_456_000);
    }
}

#[test]
fn big_endian_pcapng_with_a_binary_time_resolution_is_read() {
    let mut file = Vec::new();
    for number in [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX, 28] {
        file.extend(number.to_be_bytes());
    }
    // An interface with the link type Raw. The unit of its times is 2^-10 seconds.
    for number in [1_u32, 32, 101 << 16, 0, 9 << 16 | 1, 0x8a00_0000, 0, 32] {
        file.extend(number.to_be_bytes());
    }
    // Two captured bytes of a packet of four bytes, at 1.5 seconds.
    for number in [6_u32, 36, 0, 0, 1536, 2, 4, 0x4500_0000, 36] {
        file.extend(number.to_be_bytes());
    }
    let contents = read(&file[..]).unwrap();
    assert!(contents.incomplete.is_none());
    let [packet] = &contents.packets[..] else { panic!("{contents:?}") };
    assert_eq!((packet.time, packet.link_type), (Duration::from_millis(1500), LinkType::Raw));
    assert_eq!((packet.original_length, &packet.bytes[..]), (4, &[0x45, 0][..]));
}

#[test]
fn complete_packets_of_a_truncated_file_are_read() {
    let packets = [packet(1, 60), packet(2, 61), packet(3, 62)];
    let pcap = pcap_file(ByteOrder::Little, Resolution::Nanoseconds, &packets);
    for whole in [pcapng_file(&packets, None), pcap] {
        let mut count = 0;
        for length in 4..whole.len() {
            let contents = read(&whole[..length]).unwrap();
            assert!(contents.packets.len() >= count, "{length}");
            count = contents.packets.len();
            assert_eq!(contents.packets[..], packets[..count], "{length}");
        }
        assert!(read(&whole[..whole.len() - 1]).unwrap().incomplete.is_some());
    }
}

#[test]
fn file_of_another_format_is_an_error() {
    assert!(matches!(read(&b"GET"[..]), Err(FileError::UnknownFormat)));
    assert!(matches!(read(&b"GET / HTTP/1.1"[..]), Err(FileError::UnknownFormat)));
}

#[test]
fn reader_stops_at_an_invalid_length() {
    for (offset, length) in [(4, u32::MAX), (4, 0), (4, 13), (4, 0x7fff_fffc)] {
        let mut file = pcapng_file(&[packet(1, 60)], None);
        file[offset..offset + 4].copy_from_slice(&length.to_le_bytes());
        let contents = read(&file[..]).unwrap();
        assert!(contents.incomplete.is_some() && contents.packets.is_empty(), "{length}");
    }
    let mut file = pcap_file(ByteOrder::Little, Resolution::Nanoseconds, &[packet(1, 60)]);
    file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let reason = read(&file[..]).unwrap().incomplete.unwrap().to_string();
    assert!(reason.contains("4294967295 bytes"), "{reason}");
}

#[test]
fn reader_stops_at_the_maximum_number_of_packets() {
    let mut file = pcap_file(ByteOrder::Little, Resolution::Nanoseconds, &[]);
    let with_packet = pcap_file(ByteOrder::Little, Resolution::Nanoseconds, &[packet(1, 0)]);
    for _ in 0..=MAX_PACKETS {
        file.extend(&with_packet[24..]);
    }
    let contents = read(&file[..]).unwrap();
    assert_eq!(contents.packets.len(), MAX_PACKETS);
    let reason = contents.incomplete.unwrap().to_string();
    assert_eq!(reason, "the file has more than 100000 packets; the rest is not read");
    // Without the last packet, the file is complete.
    file.truncate(file.len() - 16);
    let contents = read(&file[..]).unwrap();
    assert_eq!(contents.packets.len(), MAX_PACKETS);
    assert!(contents.incomplete.is_none());
}

#[test]
fn reader_stops_at_the_maximum_number_of_bytes() {
    let length = MAX_PACKET_BYTES;
    let packets = vec![packet(1, length); MAX_TOTAL_BYTES / length + 1];
    let contents = read(&pcapng_file(&packets, None)[..]).unwrap();
    assert_eq!(contents.packets.len(), MAX_TOTAL_BYTES / length);
    let reason = contents.incomplete.unwrap().to_string();
    assert_eq!(reason, "the packets of the file have more than 64 MiB; the rest is not read");
}

/// A block with a little-endian header.
fn block(block_type: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
    [&block_type.to_le_bytes()[..], &length, body, &length].concat()
}

/// A section with this number of interfaces. Their link type is Ethernet.
fn section(interfaces: usize) -> Vec<u8> {
    let mut section_header = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section_header.extend([1, 0, 0, 0]);
    section_header.extend([0xff; 8]);
    let interface = block(1, &[1, 0, 0, 0, 0, 0, 0, 0]);
    [block(0x0a0d_0d0a, &section_header), interface.repeat(interfaces)].concat()
}

/// The statistics of an interface, with a number of dropped packets.
fn statistics(interface: u32, dropped: u64) -> Vec<u8> {
    let option = [5_u16.to_le_bytes(), 8_u16.to_le_bytes()].concat();
    let body = [&interface.to_le_bytes()[..], &[0; 8], &option, &dropped.to_le_bytes(), &[0; 4]];
    block(5, &body.concat())
}

#[test]
fn latest_statistics_of_each_interface_and_section_are_added() {
    let mut file = section(2);
    for (interface, dropped) in [(0, 5), (1, 7), (0, 6), (1, 4)] {
        file.extend(statistics(interface, dropped));
    }
    assert_eq!(read(&file[..]).unwrap().dropped, Some(10));
    // The interface 0 of the second section is another interface.
    file.extend(section(1));
    file.extend(statistics(0, 100));
    assert_eq!(read(&file[..]).unwrap().dropped, Some(110));
    // The sum is larger than 2^64 - 1.
    file.extend(statistics(0, u64::MAX));
    assert_eq!(read(&file[..]).unwrap().dropped, Some(u64::MAX));
    file.extend(statistics(0, 1));
    assert_eq!(read(&file[..]).unwrap().dropped, Some(11));
}

#[test]
fn statistics_without_a_count_or_without_a_described_interface_are_ignored() {
    let without_count = block(5, &[0; 12]);
    for statistics in [statistics(1, 3), statistics(u32::MAX, 3), without_count, block(5, &[])] {
        let contents = read(&[section(1), statistics].concat()[..]).unwrap();
        assert!(contents.dropped.is_none() && contents.incomplete.is_none());
    }
}

#[test]
fn many_statistics_are_read_in_linear_time() {
    let mut file = section(MAX_INTERFACES);
    // The last blocks describe interfaces that do not exist.
    for interface in 0..200_000 {
        file.extend(statistics(interface, 1));
    }
    let start = Instant::now();
    assert_eq!(read(&file[..]).unwrap().dropped, Some(MAX_INTERFACES as u64));
    // A build without optimisation needs less than one second. With a sum for each block, it needs minutes.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn snapshot_length_of_zero_is_no_limit() {
    // A simple packet contains no captured length.
    let simple = block(3, &[&4_u32.to_le_bytes()[..], &[7; 4]].concat());
    let contents = read(&[section(1), simple].concat()[..]).unwrap();
    assert_eq!((contents.packets[0].bytes.len(), contents.without_time), (4, 1));
    assert!(contents.incomplete.is_none());
}

proptest! {
    #[test]
    fn packets_of_a_random_file_have_no_more_bytes_than_the_file(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        format in 0..5_usize,
    ) {
        let magic = [
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a][..],
            &[0xa1, 0xb2, 0xc3, 0xd4], &[0xd4, 0xc3, 0xb2, 0xa1], &[0x4d, 0x3c, 0xb2, 0xa1], &[],
        ][format];
        let file = [magic, &bytes].concat();
        if let Ok(contents) = read(&file[..]) {
            let kept: usize = contents.packets.iter().map(|packet| packet.bytes.len()).sum();
            prop_assert!(kept <= file.len());
        }
    }

    #[test]
    fn corrupted_files_cause_no_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        format in 0..2_usize,
    ) {
        let packets = [packet(1, 60), packet(2, 90)];
        let mut file = match format {
            0 => pcapng_file(&packets, Some(1)),
            _ => pcap_file(ByteOrder::Big, Resolution::Microseconds, &packets),
        };
        for (index, byte) in changes {
            let index = index.index(file.len());
            file[index] = byte;
        }
        if let Ok(contents) = read(&file[..]) {
            for captured in &contents.packets {
                let _ = crate::capture::dissect::dissect(captured);
            }
        }
    }
}
