//! Writes random packets to a correct capture file, and reads this file. In contrast to the target `capture`, most inputs
//! reach the dissection, the flows, the reassembly and the exchanges. The output must be valid: one JSON value in each
//! line, and text without control characters.
//!
//! Run it with `cargo +nightly fuzz run packets`.
#![no_main]

use arbitrary::Arbitrary;
use echo_core::is_terminal_control;
use libfuzzer_sys::fuzz_target;
use rtt_client::report::{Json, JsonConfig, Text, TextConfig};
use rtt_client::{explain_as_measurement, read_trace};
use std::io::sink;
use std::path::Path;

/// The link types that the client supports, and one other (`LinkType` in `capture/file.rs`).
const LINK_TYPES: [u32; 6] = [0, 1, 101, 113, 276, 147];

/// The headers before the payload of a packet.
#[derive(Arbitrary, Debug)]
enum Headers {
    /// All bytes of the packet are random.
    None,
    Ipv4 {
        protocol: u8,
        hosts: u8,
        fragment: u16,
    },
    Ipv6 {
        protocol: u8,
        hosts: u8,
    },
    Tcp {
        hosts: u8,
        flags: u8,
        sequence: u32,
        acknowledgment: u32,
        window: u16,
    },
    Udp {
        hosts: u8,
    },
    /// An ICMP error that quotes a datagram.
    IcmpError {
        hosts: u8,
        kind: u8,
        code: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Packet {
    /// The time after the previous packet in microseconds.
    pause: u16,
    headers: Headers,
    payload: Vec<u8>,
    /// The number of bytes that the capture does not contain.
    cut: u8,
}

/// The addresses of a packet. The lowest bit selects the direction.
fn hosts(hosts: u8) -> ([[u8; 4]; 2], [[u8; 2]; 2]) {
    let (client, server) = ([10, 0, 0, 1 + (hosts >> 4 & 1)], [10, 0, 0, 2]);
    let port = if hosts & 2 == 0 { 12_000 } else { 25_000_u16 };
    let ports = [(40_000 + u16::from(hosts >> 2 & 1)).to_be_bytes(), port.to_be_bytes()];
    if hosts & 1 == 0 {
        ([client, server], ports)
    } else {
        ([server, client], [ports[1], ports[0]])
    }
}

fn ipv4(protocol: u8, hosts_of: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let ([source, destination], _) = hosts(hosts_of);
    let length = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 1, high, low, 64, protocol, 0, 0];
    packet.extend(source);
    packet.extend(destination);
    packet.extend(payload);
    packet
}

fn ipv6(protocol: u8, hosts_of: u8, payload: &[u8]) -> Vec<u8> {
    let ([source, destination], _) = hosts(hosts_of);
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], protocol, 64];
    for address in [source, destination] {
        packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(address);
    }
    packet.extend(payload);
    packet
}

fn udp(hosts_of: u8, payload: &[u8]) -> Vec<u8> {
    let (_, ports) = hosts(hosts_of);
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    [ports.as_flattened(), &length, &[0, 0], payload].concat()
}

impl Packet {
    /// The bytes of the packet from the IP header on.
    fn bytes(&self) -> Vec<u8> {
        let payload = &self.payload[..];
        match self.headers {
            Headers::None => payload.to_vec(),
            Headers::Ipv4 { protocol, hosts, fragment } => ipv4(protocol, hosts, fragment, payload),
            Headers::Ipv6 { protocol, hosts } => ipv6(protocol, hosts, payload),
            Headers::Udp { hosts } => ipv4(17, hosts, 0, &udp(hosts, payload)),
            Headers::Tcp { hosts: hosts_of, flags, sequence, acknowledgment, window } => {
                let (_, ports) = hosts(hosts_of);
                let mut header = ports.concat();
                header.extend(sequence.to_be_bytes());
                header.extend(acknowledgment.to_be_bytes());
                header.extend([0x50, flags]);
                header.extend(window.to_be_bytes());
                header.extend([0; 4]);
                ipv4(6, hosts_of, 0, &[&header[..], payload].concat())
            }
            Headers::IcmpError { hosts, kind, code } => {
                let quoted = ipv4(17, hosts, 0, &udp(hosts, payload));
                ipv4(1, hosts ^ 1, 0, &[&[kind, code, 0, 0, 0, 0, 0, 0], &quoted[..]].concat())
            }
        }
    }
}

/// The link header for an IP packet.
fn link_header(link_type: u32, is_ipv6: bool) -> Vec<u8> {
    let ethertype = if is_ipv6 { [0x86, 0xdd] } else { [8, 0] };
    match link_type {
        0 => vec![if is_ipv6 { 24 } else { 2 }, 0, 0, 0],
        1 => [&[2; 12][..], &ethertype].concat(),
        113 => [&[0; 14][..], &ethertype].concat(),
        276 => [&ethertype[..], &[0; 18]].concat(),
        _ => Vec::new(),
    }
}

fuzz_target!(|input: (u8, Vec<Packet>)| {
    let (link_type, packets) = input;
    let link_type = LINK_TYPES[usize::from(link_type) % LINK_TYPES.len()];
    let mut file = Vec::new();
    // The header of a pcap file with times in microseconds.
    for number in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link_type] {
        file.extend(u32::to_le_bytes(number));
    }
    let mut time = 0_u32;
    for packet in &packets {
        time = time.saturating_add(packet.pause.into());
        let ip = packet.bytes();
        let is_ipv6 = ip.first().is_some_and(|first| first >> 4 == 6);
        let bytes = [link_header(link_type, is_ipv6), ip].concat();
        let captured = &bytes[..bytes.len().saturating_sub(packet.cut.into())];
        let lengths = [captured.len(), bytes.len()].map(|length| u32::try_from(length).unwrap());
        for number in [time / 1_000_000, time % 1_000_000, lengths[0], lengths[1]] {
            file.extend(number.to_le_bytes());
        }
        file.extend(captured);
    }

    let path = Path::new("fuzz");
    let mut json = Vec::new();
    let _ = read_trace(&file[..], path, &mut Json::new(&mut json, JsonConfig::default()));
    for line in String::from_utf8(json).expect("UTF-8").lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("one JSON value in each line");
    }
    let mut text = Vec::new();
    let _ = read_trace(&file[..], path, &mut Text::new(&mut text, sink(), TextConfig::default()));
    let text = String::from_utf8(text).expect("UTF-8");
    let control = text.chars().find(|c| is_terminal_control(*c) && *c != '\n');
    assert_eq!(control, None, "{text:?}");
    let addresses = [([10, 0, 0, 1], 40_000).into(), ([10, 0, 0, 2], 12_000).into()];
    explain_as_measurement(&file[..], addresses, &mut Json::new(sink(), JsonConfig::default()));
});
