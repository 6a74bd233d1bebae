//! Builds hostile capture files in memory.

/// More packets than the client reads from a file.
const MANY: u32 = 100_100;

pub const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
pub const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 12_000);

const TCP: u8 = 6;
const UDP: u8 = 17;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A pcap file. Each packet begins with its IP header.
pub struct Pcap {
    bytes: Vec<u8>,
    packets: u32,
}

impl Pcap {
    fn new() -> Self {
        let header = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101];
        Self { bytes: header.iter().flat_map(|number| number.to_be_bytes()).collect(), packets: 0 }
    }

    /// Adds a packet. The time between two packets is one microsecond.
    fn add(&mut self, packet: &[u8]) {
        let length = u32::try_from(packet.len()).unwrap();
        let time = [1_790_000_000 + self.packets / 1_000_000, self.packets % 1_000_000];
        self.add_with(time, [length, length], packet);
    }

    /// Adds a packet with these seconds and microseconds, and with these captured and original lengths.
    fn add_with(&mut self, time: [u32; 2], lengths: [u32; 2], packet: &[u8]) {
        for number in [time, lengths].concat() {
            self.bytes.extend(number.to_be_bytes());
        }
        self.bytes.extend(packet);
        self.packets += 1;
    }
}

/// An end of a packet: its address and its port.
type End = ([u8; 4], u16);

fn ip_packet(protocol: u8, from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let start = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    [&start[..], &from.0, &to.0, payload].concat()
}

fn datagram(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut header = Vec::new();
    for number in [from.1, to.1, length, 0] {
        header.extend(number.to_be_bytes());
    }
    ip_packet(UDP, from, to, &[&header, payload].concat())
}

fn segment(from: End, to: End, flags: u8, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    let rest = [&sequence.to_be_bytes()[..], &[0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]].concat();
    ip_packet(TCP, from, to, &[&ports, &rest, payload].concat())
}

fn icmp_error(from: End, to: End, quoted: &[u8]) -> Vec<u8> {
    ip_packet(1, from, to, &[&[3, 1, 0, 0, 0, 0, 0, 0], quoted].concat())
}

/// A number that looks random. The sequence is the same in each run (xorshift).
fn next_random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

/// Segments of both sides with random sequence numbers, after a valid handshake.
pub fn random_sequence_numbers() -> Vec<u8> {
    let (mut file, mut state) = (Pcap::new(), 1);
    file.add(&segment(CLIENT, SERVER, SYN, 0, b""));
    file.add(&segment(SERVER, CLIENT, SYN | ACK, 0, b""));
    for index in 0..MANY {
        let (from, to) = if index % 2 == 0 { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        file.add(&segment(from, to, ACK, next_random(&mut state), b"x"));
    }
    file.bytes
}

/// Segments with a gap between two of them, from the last one to the first one. Each header describes 65,495 bytes, and
/// the packet contains one.
pub fn forged_lengths() -> Vec<u8> {
    let mut file = Pcap::new();
    for index in (0..MANY).rev() {
        let mut packet = segment(CLIENT, SERVER, ACK, index.wrapping_mul(65_536), b"x");
        packet[2..4].copy_from_slice(&[0xff, 0xff]);
        let time = [1_790_000_000, 0];
        file.add_with(time, [41, u32::MAX], &packet);
    }
    file.bytes
}

/// Each packet belongs to another flow.
pub fn many_flows() -> Vec<u8> {
    let mut file = Pcap::new();
    for index in 0..MANY {
        let [_, _, high, low] = index.to_be_bytes();
        let client = ([10, 1, high, low], 40_000 + u16::from(high));
        match index % 4 {
            0 => file.add(&datagram(client, SERVER, b"x")),
            1 => file.add(&segment(client, SERVER, ACK, 1, b"x")),
            // The same ports, and another connection.
            2 => file.add(&segment(CLIENT, SERVER, SYN, index, b"")),
            _ => {
                let mut fragment = datagram(client, SERVER, b"x");
                fragment[7] = 1;
                file.add(&fragment);
            }
        }
    }
    file.bytes
}

/// Requests with 2,000 bytes that differ only in their last bytes, and replies that match no request. Requests and
/// replies alternate after the first 1,000 requests.
pub fn similar_datagrams() -> Vec<u8> {
    let mut file = Pcap::new();
    let mut payload = vec![b'x'; 2000];
    for index in 0..16_000_u32 {
        let digits = format!("{index:08}");
        payload[1992..].copy_from_slice(digits.as_bytes());
        if index < 1000 || index % 2 == 0 {
            file.add(&datagram(CLIENT, SERVER, &payload));
        } else {
            file.add(&datagram(SERVER, CLIENT, &payload));
        }
    }
    file.bytes
}

/// Payloads whose text is much longer in JSON, or has no width on a terminal.
pub fn expanding_payloads() -> Vec<u8> {
    let mut file = Pcap::new();
    for payload in [vec![0x1b; 4096], vec![0xff; 4096], "\u{301}\u{202e}".repeat(900).into_bytes()]
    {
        for _ in 0..2000 {
            file.add(&datagram(CLIENT, SERVER, &payload));
        }
    }
    file.bytes
}

/// Datagrams with 65,000 bytes. Together, they have more than 64 MiB.
pub fn long_packets() -> Vec<u8> {
    let (mut file, payload) = (Pcap::new(), vec![b'x'; 65_000]);
    for index in 0..1100 {
        let (from, to) = if index % 2 == 0 { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        file.add(&datagram(from, to, &payload));
    }
    file.bytes
}

/// ICMP errors that quote ICMP errors, truncated packets, and packets without any byte.
pub fn nested_and_truncated() -> Vec<u8> {
    let mut file = Pcap::new();
    let mut packet = datagram(CLIENT, SERVER, b"x");
    for _ in 0..100 {
        file.add(&packet);
        for captured in 0..packet.len().min(120) {
            let lengths = [u32::try_from(captured).unwrap(), u32::MAX];
            file.add_with([1, 0], lengths, &packet[..captured]);
        }
        packet = icmp_error(SERVER, CLIENT, &packet);
    }
    while file.packets < MANY {
        file.add_with([0, 0], [0, 0], b"");
    }
    file.bytes
}

/// Times from 1970 to 2106 that go backwards, and a fraction of more than one second.
pub fn times_of_pcap() -> Vec<u8> {
    let mut file = Pcap::new();
    for seconds in [u32::MAX, 0, 1_790_000_000, 1, u32::MAX, 0] {
        for (from, to) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
            let packet = datagram(from, to, b"hello");
            let length = u32::try_from(packet.len()).unwrap();
            file.add_with([seconds, u32::MAX], [length, length], &packet);
        }
    }
    file.bytes
}

/// A pcapng file.
struct Pcapng(Vec<u8>);

impl Pcapng {
    fn new() -> Self {
        let mut file = Self(Vec::new());
        file.section();
        file
    }

    fn section(&mut self) {
        let body = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body);
    }

    /// An interface whose packets begin with their IP header. `resolution` is the value of `if_tsresol`.
    fn interface(&mut self, resolution: u8) {
        self.block(1, &[101, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, resolution, 0, 0, 0]);
    }

    fn packet(&mut self, time: u64, packet: &[u8], options: &[u8]) {
        let length = u32::try_from(packet.len()).unwrap();
        let (time, length) = (time.to_le_bytes(), length.to_le_bytes());
        // The upper half of the time precedes the lower half.
        let mut body = [&[0; 4][..], &time[4..], &time[..4], &length, &length, packet].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        self.block(6, &body);
    }

    fn block(&mut self, block_type: u32, body: &[u8]) {
        let length = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        for part in [&block_type.to_le_bytes()[..], &length, body, &length] {
            self.0.extend(part);
        }
    }
}

/// The first, the last and other times of several resolutions. Each section has one interface.
pub fn times_of_pcapng() -> Vec<u8> {
    // The last second of the year 9999, and the last second of the library that formats times.
    let special = [253_402_300_799, 8_210_266_876_799, 8_334_601_228_800];
    let mut file = Pcapng::new();
    for resolution in [0, 1, 6, 9, 19, 0x80, 0xbf] {
        file.section();
        file.interface(resolution);
        for time in special.into_iter().chain([0, u64::MAX, 1, u64::MAX / 2, u64::MAX - 1, 0]) {
            file.packet(time, &datagram(CLIENT, SERVER, b"hello"), &[]);
            file.packet(time, &datagram(SERVER, CLIENT, b"HELLO"), &[]);
        }
    }
    file.0
}

/// Statistics of 200,000 interfaces.
pub fn many_statistics() -> Vec<u8> {
    let mut file = Pcapng::new();
    for _ in 0..1024 {
        file.interface(6);
    }
    for interface in 0..200_000_u32 {
        let option = [5, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.block(5, &[&interface.to_le_bytes()[..], &[0; 8], &option].concat());
    }
    file.0
}

/// Sections with interfaces, and blocks of unknown types.
pub fn many_sections() -> Vec<u8> {
    let mut file = Pcapng::new();
    for index in 0..50_000 {
        file.section();
        file.interface(6);
        file.interface(9);
        file.block(0x0bad_0000 | index, &[]);
    }
    file.packet(1, &datagram(CLIENT, SERVER, b"x"), &[]);
    file.0
}

/// More interfaces than a section may describe.
pub fn many_interfaces() -> Vec<u8> {
    let mut file = Pcapng::new();
    (0..200_000).for_each(|_| file.interface(6));
    file.0
}

/// Blocks with about 1 MiB of comments each.
pub fn many_options() -> Vec<u8> {
    let mut file = Pcapng::new();
    file.interface(6);
    let options = [1, 0, 1, 0, b'x', 0, 0, 0].repeat(130_000);
    for time in 0..40 {
        file.packet(time, &datagram(CLIENT, SERVER, b"x"), &options);
        file.block(1, &[&[101, 0, 0, 0, 0, 0, 0, 0][..], &options].concat());
        file.block(5, &[&[0; 12][..], &options].concat());
    }
    file.0
}
