//! The packet filter of a capture: a program for the kernel's classic BPF machine
//! (Documentation/networking/filter.rst). Pure: a peer as input, instructions as output.
//!
//! The filter runs in the kernel, so packets of other hosts and other ports do not fill the receive buffer of
//! the capture. It accepts:
//!
//! - packets of the protocol to the peer and from it. A fragment other than the first has no port; over IPv4,
//!   the peer's address is sufficient for it, and over IPv6, every fragment is accepted;
//! - every ICMP error, because a router on the path can send it.
//!
//! The tests run the program in a small BPF interpreter.
//!
//! Alternatives that were tried:
//!
//! - **pcap** (`pcap_compile` of libpcap): it needs the C library on every system, and an installed `rtt-client`
//!   has to work alone.
//! - **pktbaffle** 0.2, a compiler for tcpdump expressions in Rust: it has no expression for the packet's
//!   direction, which a capture on loopback needs, and no IPv6 on interfaces without an Ethernet header.
//! - **bpf** 0.1: it attaches a program, as socket2 does, but the program is still a list of numbers with jump
//!   distances.
//! - **A filter for the protocol only**, with the check of address and port in Rust: other traffic of the
//!   protocol could then fill the receive buffer, and the check in Rust is as long as the program here.

use super::super::CaptureConfig;
use crate::model::headers;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An instruction: the code, the number of instructions to skip if a test is true and if it is false, and the
/// operand.
pub(super) type Instruction = (u16, u8, u8, u32);

// Load a word (4 bytes), a half word (2 bytes) or a byte of the packet at a fixed offset.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
// The same, at an offset after the IPv4 header. `LOAD_HEADER_LENGTH` has to run first.
const LOAD_HALF_AFTER_HEADER: u16 = 0x48;
const LOAD_BYTE_AFTER_HEADER: u16 = 0x50;
const LOAD_HEADER_LENGTH: u16 = 0xb1;
// Compare the loaded value with the operand, and jump.
const EQUALS: u16 = 0x15;
const GREATER: u16 = 0x25;
const HAS_ANY_BIT: u16 = 0x45;
// End the program. The operand is the number of bytes of the packet that are accepted.
const RETURN: u16 = 0x06;

/// More than the length of every packet: accept the whole packet.
const WHOLE_PACKET: u32 = 0x0004_0000;

/// The pseudo-offset of the packet's type (`SKF_AD_OFF + SKF_AD_PKTTYPE`, include/uapi/linux/filter.h).
const PACKET_TYPE: u32 = 0xffff_f004;

/// The type of a packet that this host sends (`PACKET_OUTGOING`, `include/uapi/linux/if_packet.h`).
const OUTGOING: u32 = 4;

/// The offset of the `EtherType` field in the Ethernet header.
const ETHERTYPE_OFFSET: u32 = 12;
const ETHERTYPE_IPV4: u32 = headers::ETHERTYPE_IPV4 as u32;
const ETHERTYPE_IPV6: u32 = headers::ETHERTYPE_IPV6 as u32;

const ICMP: u32 = headers::ICMP as u32;
const ICMPV6: u32 = headers::ICMPV6 as u32;
const IPV6_FRAGMENT: u32 = headers::IPV6_FRAGMENT as u32;

/// The largest type of an existing ICMP error over IPv6 (RFC 4443). Types up to 127 are reserved for errors.
const MAX_ICMPV6_ERROR: u32 = 4;

/// The fragment offset in the IPv4 header. It is 0 in the first fragment.
const FRAGMENT_OFFSET_BITS: u32 = 0x1fff;

/// The filter program for a capture.
pub(super) fn program(config: &CaptureConfig) -> Vec<Instruction> {
    let mut program = Assembler::default();
    if config.is_loopback {
        // Every packet appears when it is sent and when it is received. The second one is captured.
        program.load(LOAD_BYTE, PACKET_TYPE);
        program.test(EQUALS, OUTGOING, Target::Drop, Target::Next);
    }
    let link = u32::from(config.link_header);
    let (protocol, port) = (u32::from(config.protocol), u32::from(config.peer.port()));
    let ethertype = if config.peer.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    if link > 0 {
        program.load(LOAD_HALF, ETHERTYPE_OFFSET);
        program.test(EQUALS, ethertype, Target::Next, Target::Drop);
    }
    match config.peer.ip() {
        IpAddr::V4(peer) => ipv4(&mut program, link, protocol, peer, port),
        IpAddr::V6(peer) => ipv6(&mut program, link, protocol, peer, port),
    }
    program.assemble()
}

fn ipv4(program: &mut Assembler, link: u32, protocol: u32, peer: Ipv4Addr, port: u32) {
    let peer = u32::from(peer);
    program.load(LOAD_HEADER_LENGTH, link);
    program.load(LOAD_BYTE, link + 9);
    program.test(EQUALS, ICMP, Target::Next, Target::Label("not ICMP"));
    program.load(LOAD_BYTE_AFTER_HEADER, link);
    for kind in headers::ICMP_ERROR_TYPES {
        program.test(EQUALS, kind.into(), Target::Accept, Target::Next);
    }
    program.jump(Target::Drop);

    program.label("not ICMP");
    program.test(EQUALS, protocol, Target::Next, Target::Drop);
    // The offsets of the source and the destination, in the IP header and in the header after it.
    for (address, port_offset, other) in
        [(12, 0, Target::Label("not from the peer")), (16, 2, Target::Drop)]
    {
        program.load(LOAD_WORD, link + address);
        program.test(EQUALS, peer, Target::Next, other);
        program.load(LOAD_HALF, link + 6);
        program.test(HAS_ANY_BIT, FRAGMENT_OFFSET_BITS, Target::Accept, Target::Next);
        program.load(LOAD_HALF_AFTER_HEADER, link + port_offset);
        program.test(EQUALS, port, Target::Accept, other);
        if let Target::Label(name) = other {
            program.label(name);
        }
    }
}

fn ipv6(program: &mut Assembler, link: u32, protocol: u32, peer: Ipv6Addr, port: u32) {
    program.load(LOAD_BYTE, link + 6);
    program.test(EQUALS, ICMPV6, Target::Next, Target::Label("not ICMPv6"));
    program.load(LOAD_BYTE, link + 40);
    program.test(GREATER, MAX_ICMPV6_ERROR, Target::Drop, Target::Accept);

    program.label("not ICMPv6");
    program.test(EQUALS, IPV6_FRAGMENT, Target::Accept, Target::Next);
    program.test(EQUALS, protocol, Target::Next, Target::Drop);
    for (address, port_offset, other) in
        [(8, 40, Target::Label("not from the peer")), (24, 42, Target::Drop)]
    {
        for (offset, word) in (0..).step_by(4).zip(words(peer)) {
            program.load(LOAD_WORD, link + address + offset);
            program.test(EQUALS, word, Target::Next, other);
        }
        program.load(LOAD_HALF, link + port_offset);
        program.test(EQUALS, port, Target::Accept, other);
        if let Target::Label(name) = other {
            program.label(name);
        }
    }
}

/// The four words of an IPv6 address.
fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = address.to_bits();
    [96, 64, 32, 0].map(|shift| u32::try_from(bits >> shift & u128::from(u32::MAX)).unwrap_or(0))
}

/// Where a test jumps to. BPF allows only jumps forward.
#[derive(Clone, Copy)]
enum Target {
    Next,
    Accept,
    Drop,
    Label(&'static str),
}

/// Collects instructions, and replaces the targets of their jumps with distances.
#[derive(Default)]
struct Assembler {
    /// Code, operand, and the targets if the test is true and if it is false.
    instructions: Vec<(u16, u32, Target, Target)>,
    /// The names of positions, each with the index of the instruction that follows it.
    labels: Vec<(&'static str, usize)>,
}

impl Assembler {
    fn load(&mut self, code: u16, offset: u32) {
        self.instructions.push((code, offset, Target::Next, Target::Next));
    }

    fn test(&mut self, code: u16, operand: u32, yes: Target, no: Target) {
        self.instructions.push((code, operand, yes, no));
    }

    fn jump(&mut self, target: Target) {
        self.test(EQUALS, 0, target, target);
    }

    fn label(&mut self, name: &'static str) {
        self.labels.push((name, self.instructions.len()));
    }

    /// The finished program. Its last two instructions accept and drop the packet.
    ///
    /// # Panics
    ///
    /// If a label is missing, is placed before a jump to it, or is more than 255 instructions away. Each is an
    /// error in this file, and the tests assemble every kind of program.
    fn assemble(self) -> Vec<Instruction> {
        let accept = self.instructions.len();
        let distance = |from: usize, target: Target| {
            let index = match target {
                Target::Next => from + 1,
                Target::Accept => accept,
                Target::Drop => accept + 1,
                Target::Label(name) => {
                    let label = self.labels.iter().find(|(label, _)| *label == name);
                    label.expect("every label is placed").1
                }
            };
            let distance = index.checked_sub(from + 1).and_then(|skip| u8::try_from(skip).ok());
            distance.expect("every jump is forward and short")
        };
        let mut program: Vec<Instruction> = self
            .instructions
            .iter()
            .enumerate()
            .map(|(index, &(code, operand, yes, no))| {
                (code, distance(index, yes), distance(index, no), operand)
            })
            .collect();
        program.push((RETURN, 0, 0, WHOLE_PACKET));
        program.push((RETURN, 0, 0, 0));
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    /// Interprets the program as the kernel does. Returns whether it accepts the packet.
    fn accepts(program: &[Instruction], packet: &[u8]) -> bool {
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        loop {
            let (code, yes, no, k) = program[at];
            let load = |from: u32, length: usize| -> Option<u32> {
                let bytes = packet.get(from as usize..)?.get(..length)?;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
            };
            let loaded = match code {
                LOAD_WORD => load(k, 4),
                LOAD_HALF => load(k, 2),
                LOAD_BYTE => load(k, 1),
                LOAD_HALF_AFTER_HEADER => load(k + x, 2),
                LOAD_BYTE_AFTER_HEADER => load(k + x, 1),
                _ => Some(a),
            };
            // The kernel drops a packet that is too short for a load.
            let Some(loaded) = loaded else { return false };
            a = loaded;
            let is_true = match code {
                LOAD_HEADER_LENGTH => {
                    let Some(byte) = load(k, 1) else { return false };
                    x = (byte & 15) * 4;
                    true
                }
                EQUALS => a == k,
                GREATER => a > k,
                HAS_ANY_BIT => a & k != 0,
                RETURN => return k > 0,
                _ => true,
            };
            let is_jump = code & 7 == 5;
            at += 1 + usize::from(match (is_jump, is_true) {
                (true, true) => yes,
                (true, false) => no,
                (false, _) => 0,
            });
        }
    }

    fn config(peer: &str, protocol: u8, link_header: u8) -> CaptureConfig {
        CaptureConfig {
            interface: 1,
            is_loopback: false,
            link_header,
            protocol,
            peer: peer.parse().unwrap(),
        }
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

    #[test]
    fn packets_of_the_peer_are_accepted_and_others_are_dropped() {
        for (client, peer, other) in [
            ("10.0.0.1:5555", "10.0.0.2:7777", "10.0.0.3:7777"),
            ("[fd00::1]:5555", "[fd00::2]:7777", "[fd00::3]:7777"),
        ] {
            for link_header in [0, 14] {
                let program = program(&config(peer, 17, link_header));
                let accepts = |from, to, protocol| {
                    accepts(&program, &packet(from, to, protocol, link_header))
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
    fn later_fragments_of_the_peer_are_accepted_without_a_port() {
        let program = program(&config("10.0.0.2:7777", 17, 14));
        for (from, to, is_accepted) in [
            ("10.0.0.1:1", "10.0.0.2:1", true),
            ("10.0.0.2:1", "10.0.0.1:1", true),
            ("10.0.0.1:1", "10.0.0.3:1", false),
        ] {
            let mut packet = packet(from, to, 17, 14);
            packet[14 + 7] = 185;
            assert_eq!(accepts(&program, &packet), is_accepted, "{from} {to}");
        }
    }

    #[test]
    fn icmp_errors_are_accepted_and_pings_are_dropped() {
        for (protocol, kinds) in
            [(1, [(3, true), (11, true), (8, false)]), (58, [(1, true), (4, true), (128, false)])]
        {
            let (router, client, peer) = match protocol {
                1 => ("10.0.0.9:0", "10.0.0.1:0", "10.0.0.2:7777"),
                _ => ("[fd00::9]:0", "[fd00::1]:0", "[fd00::2]:7777"),
            };
            let program = program(&config(peer, 6, 14));
            for (kind, is_error) in kinds {
                let mut packet = packet(router, client, protocol, 14);
                let header = if protocol == 1 { 20 } else { 40 };
                packet[14 + header] = kind;
                assert_eq!(accepts(&program, &packet), is_error, "{protocol} {kind}");
            }
        }
    }

    #[test]
    fn short_packets_are_dropped() {
        let program = program(&config("10.0.0.2:7777", 17, 14));
        let whole = packet("10.0.0.1:5555", "10.0.0.2:7777", 17, 14);
        for length in 0..38 {
            assert!(!accepts(&program, &whole[..length.min(37)]), "{length}");
        }
    }
}
