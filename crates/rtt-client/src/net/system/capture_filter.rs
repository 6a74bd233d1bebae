//! Which packets a capture is about, as a program for the kernel's packet filter (the classic BPF of
//! Documentation/networking/filter.rst). Pure: a peer in, instructions out.

use super::CaptureConfig;
use std::net::IpAddr;

/// An instruction: its code, how many to skip if a test holds and if not, its operand.
pub(super) type Instruction = (u16, u8, u8, u32);

/// Codes: load a word, a half word, a byte; the same behind an IPv4 header; that header's length; tests.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_BEHIND: u16 = 0x48;
const LOAD_BYTE_BEHIND: u16 = 0x50;
const HEADER_LENGTH: u16 = 0xb1;
const EQUALS: u16 = 0x15;
const GREATER: u16 = 0x25;
const HAS_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// So much of a packet is taken: all of it.
const WHOLE: u32 = 0x0004_0000;

/// Where the kernel lets a program look for what kind of packet it is (`SKF_AD_OFF + SKF_AD_PKTTYPE`), and what
/// leaves is (`PACKET_OUTGOING`).
const PACKET_TYPE: u32 = 0xffff_f004;
const OUTGOING: u32 = 4;

const ICMP: u32 = 1;
const ICMPV6: u32 = 58;
const FRAGMENT: u32 = 44;

/// Where a test leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Next,
    Accept,
    Drop,
    /// So many instructions further than the next.
    Skip(u8),
}

/// The program that lets through packets to and from the peer, and ICMP errors about any.
pub(super) fn program(config: &CaptureConfig) -> Vec<Instruction> {
    let link = u32::from(config.link_header);
    let mut steps: Vec<(u16, u32, To, To)> = Vec::new();
    let mut step = |code, operand, yes, no| steps.push((code, operand, yes, no));
    let (ether_type, protocol) = (config.link_header > 0, u32::from(config.protocol));
    let port = u32::from(config.peer.port());
    if config.is_loopback {
        // Every packet is seen leaving and arriving; the arrival is the one that is shown.
        step(LOAD_BYTE, PACKET_TYPE, To::Next, To::Next);
        step(EQUALS, OUTGOING, To::Drop, To::Next);
    }
    match config.peer.ip() {
        IpAddr::V4(peer) => {
            let peer = u32::from(peer);
            if ether_type {
                step(LOAD_HALF, 12, To::Next, To::Next);
                step(EQUALS, 0x0800, To::Next, To::Drop);
            }
            step(HEADER_LENGTH, link, To::Next, To::Next);
            step(LOAD_BYTE, link + 9, To::Next, To::Next);
            step(EQUALS, ICMP, To::Next, To::Skip(4));
            // Unreachable, time exceeded, parameter problem.
            step(LOAD_BYTE_BEHIND, link, To::Next, To::Next);
            step(EQUALS, 3, To::Accept, To::Next);
            step(EQUALS, 11, To::Accept, To::Next);
            step(EQUALS, 12, To::Accept, To::Drop);
            step(EQUALS, protocol, To::Next, To::Drop);
            // From the peer: fragments have no port but for the first.
            step(LOAD_WORD, link + 12, To::Next, To::Next);
            step(EQUALS, peer, To::Next, To::Skip(4));
            step(LOAD_HALF, link + 6, To::Next, To::Next);
            step(HAS_BIT, 0x1fff, To::Accept, To::Next);
            step(LOAD_HALF_BEHIND, link, To::Next, To::Next);
            step(EQUALS, port, To::Accept, To::Next);
            step(LOAD_WORD, link + 16, To::Next, To::Next);
            step(EQUALS, peer, To::Next, To::Drop);
            step(LOAD_HALF, link + 6, To::Next, To::Next);
            step(HAS_BIT, 0x1fff, To::Accept, To::Next);
            step(LOAD_HALF_BEHIND, link + 2, To::Next, To::Next);
            step(EQUALS, port, To::Accept, To::Drop);
        }
        IpAddr::V6(peer) => {
            if ether_type {
                step(LOAD_HALF, 12, To::Next, To::Next);
                step(EQUALS, 0x86dd, To::Next, To::Drop);
            }
            step(LOAD_BYTE, link + 6, To::Next, To::Next);
            step(EQUALS, ICMPV6, To::Next, To::Skip(2));
            // Errors have types up to 127, of which four are defined.
            step(LOAD_BYTE, link + 40, To::Next, To::Next);
            step(GREATER, 4, To::Drop, To::Accept);
            step(EQUALS, FRAGMENT, To::Accept, To::Next);
            step(EQUALS, protocol, To::Next, To::Drop);
            let words = peer.octets();
            let word = |at: usize| {
                u32::from_be_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]])
            };
            for place in 0..4_u8 {
                let offset = u32::from(place) * 4;
                step(LOAD_WORD, link + 8 + offset, To::Next, To::Next);
                // To the comparison with the other address, past what is left of this one.
                step(EQUALS, word(usize::from(place) * 4), To::Next, To::Skip(2 * (3 - place) + 2));
            }
            step(LOAD_HALF, link + 40, To::Next, To::Next);
            step(EQUALS, port, To::Accept, To::Next);
            for place in 0..4_u8 {
                step(LOAD_WORD, link + 24 + u32::from(place) * 4, To::Next, To::Next);
                step(EQUALS, word(usize::from(place) * 4), To::Next, To::Drop);
            }
            step(LOAD_HALF, link + 42, To::Next, To::Next);
            step(EQUALS, port, To::Accept, To::Drop);
        }
    }
    assemble(&steps)
}

/// Turns targets into distances. Behind the steps come the two ends, accepting and dropping.
fn assemble(steps: &[(u16, u32, To, To)]) -> Vec<Instruction> {
    let accept = steps.len();
    let distance = |from: usize, to: To| {
        let target = match to {
            To::Next => from + 1,
            To::Skip(more) => from + 1 + usize::from(more),
            To::Accept => accept,
            To::Drop => accept + 1,
        };
        u8::try_from(target - from - 1).unwrap_or(u8::MAX)
    };
    let jumps = |code: u16| code & 0x07 == 0x05;
    let mut program: Vec<Instruction> = steps
        .iter()
        .enumerate()
        .map(|(place, (code, operand, yes, no))| {
            if jumps(*code) {
                (*code, distance(place, *yes), distance(place, *no), *operand)
            } else {
                (*code, 0, 0, *operand)
            }
        })
        .collect();
    program.push((RETURN, 0, 0, WHOLE));
    program.push((RETURN, 0, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with the program.
    fn runs(program: &[Instruction], packet: &[u8]) -> bool {
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        loop {
            let (code, yes, no, k) = program[at];
            let payload = |from: u32, length: usize| -> Option<u32> {
                let bytes = packet.get(from as usize..)?.get(..length)?;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
            };
            let loaded = match code {
                LOAD_WORD => payload(k, 4),
                LOAD_HALF => payload(k, 2),
                LOAD_BYTE => payload(k, 1),
                LOAD_HALF_BEHIND => payload(k + x, 2),
                LOAD_BYTE_BEHIND => payload(k + x, 1),
                _ => Some(a),
            };
            // The kernel drops what is too short for a load.
            let Some(loaded) = loaded else { return false };
            a = loaded;
            let holds = match code {
                HEADER_LENGTH => {
                    let Some(byte) = payload(k, 1) else { return false };
                    x = (byte & 15) * 4;
                    true
                }
                EQUALS => a == k,
                GREATER => a > k,
                HAS_BIT => a & k != 0,
                RETURN => return k > 0,
                _ => true,
            };
            at += 1 + usize::from(if code & 7 == 5 { if holds { yes } else { no } } else { 0 });
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
        let (from, to): (std::net::SocketAddr, std::net::SocketAddr) =
            (from.parse().unwrap(), to.parse().unwrap());
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
            _ => panic!("two versions of IP"),
        }
        packet.extend(from.port().to_be_bytes());
        packet.extend(to.port().to_be_bytes());
        packet.extend([0; 8]);
        packet
    }

    #[test]
    fn the_peers_packets_pass_and_others_do_not() {
        for (me, peer, other) in [
            ("10.0.0.1:5555", "10.0.0.2:7777", "10.0.0.3:7777"),
            ("[fd00::1]:5555", "[fd00::2]:7777", "[fd00::3]:7777"),
        ] {
            for link_header in [0, 14] {
                let program = program(&config(peer, 17, link_header));
                let passes =
                    |from, to, protocol| runs(&program, &packet(from, to, protocol, link_header));
                assert!(passes(me, peer, 17) && passes(peer, me, 17), "{peer}");
                assert!(!passes(me, other, 17) && !passes(other, me, 17), "{peer}");
                assert!(!passes(me, peer, 6) && !passes(peer, me, 6), "{peer}");
                let another_port = peer.replace("7777", "7778");
                assert!(!passes(me, &another_port, 17) && !passes(&another_port, me, 17), "{peer}");
            }
        }
    }

    #[test]
    fn icmp_errors_pass_and_pings_do_not() {
        for (protocol, kinds) in
            [(1, [(3, true), (11, true), (8, false)]), (58, [(1, true), (4, true), (128, false)])]
        {
            let (router, me, peer) = match protocol {
                1 => ("10.0.0.9:0", "10.0.0.1:0", "10.0.0.2:7777"),
                _ => ("[fd00::9]:0", "[fd00::1]:0", "[fd00::2]:7777"),
            };
            let program = program(&config(peer, 6, 14));
            for (kind, is_error) in kinds {
                let mut packet = packet(router, me, protocol, 14);
                let header = if protocol == 1 { 20 } else { 40 };
                packet[14 + header] = kind;
                assert_eq!(runs(&program, &packet), is_error, "{protocol} {kind}");
            }
        }
    }

    #[test]
    fn short_packets_are_dropped() {
        let program = program(&config("10.0.0.2:7777", 17, 14));
        let whole = packet("10.0.0.1:5555", "10.0.0.2:7777", 17, 14);
        for length in 0..38 {
            assert!(!runs(&program, &whole[..length.min(37)]), "{length}");
        }
    }
}
