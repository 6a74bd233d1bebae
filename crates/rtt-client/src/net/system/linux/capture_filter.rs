//! The packet filter of a capture: a program of [`FilterInstruction`]s. This file only builds the program.
//!
//! The filter runs in the kernel, so packets of other hosts and other ports do not fill the receive buffer of
//! the capture. It accepts:
//!
//! - Packets of the protocol to and from the peer. If the protocol has no ports, the filter checks only the protocol
//!   and the address. A later fragment of a packet contains no port. Over IPv4, the filter checks only the protocol and
//!   the address of such a fragment. Over IPv6, it checks only the address of every fragment.
//! - ICMP errors that quote a packet to or from the peer. Any router on the path can send one.
//!
//! This host sends the packets to the peer, and receives the packets from the peer. The filter drops a packet with the
//! other direction, because its source is forged. The loopback interface shows no direction.
//!
//! The tests run the program in an interpreter.
//!
//! Alternatives that were tried:
//!
//! - **pcap** (`pcap_compile` of libpcap) needs the C library on every system. An installed `rtt-client` must not
//!   need other packages.
//! - **pktbaffle** 0.2 is a compiler for tcpdump expressions in Rust. It has no expression for the packet's
//!   direction, which a capture on loopback needs. It does not support IPv6 on interfaces without an Ethernet
//!   header.
//! - **bpf** 0.1 attaches a program, as socket2 does. The program is still a list of numbers with jump distances.
//! - **A filter for the protocol only**, and a check of address and port in Rust. Other traffic of the protocol
//!   could then fill the receive buffer, and the check in Rust is as long as the program here.

use super::super::CaptureConfig;
use crate::model::headers;
use crate::net::system::packet_filter::FilterInstruction;
use crate::net::system::packet_filter::opcode::{
    EQUALS, GREATER, HAS_ANY_BIT, LOAD_BYTE, LOAD_BYTE_AFTER_HEADER, LOAD_HALF,
    LOAD_HALF_AFTER_HEADER, LOAD_HEADER_LENGTH, LOAD_WORD, LOAD_WORD_AFTER_HEADER, RETURN,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Captures the whole packet, because no packet is longer.
const WHOLE_PACKET: u32 = 0x0004_0000;

/// A load at this offset returns the packet's type (`SKF_AD_OFF + SKF_AD_PKTTYPE`, include/uapi/linux/filter.h).
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

/// The largest assigned type of an `ICMPv6` error (RFC 4443).
const MAX_ICMPV6_ERROR: u32 = 4;

/// The length of the header of an ICMP error, in bytes. The quoted packet follows (RFC 792, RFC 4443).
const ICMP_HEADER: u32 = 8;

/// The length of the IPv6 header, in bytes.
const IPV6_HEADER: u32 = 40;

/// The bits of the fragment offset in the IPv4 header. In the first fragment, all of them are 0.
const FRAGMENT_OFFSET_BITS: u32 = 0x1fff;

/// Builds the filter program for a capture.
pub(super) fn program(config: &CaptureConfig) -> Vec<FilterInstruction> {
    let mut program = Assembler::default();
    if config.is_loopback {
        // On loopback, each packet appears twice: when it is sent and when it is received. Drop the sent one.
        program.load(LOAD_BYTE, PACKET_TYPE);
        program.test(EQUALS, OUTGOING, Target::Drop, Target::Next);
    }
    let ethertype = if config.peer.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    let packets = Packets {
        link: config.link_header.into(),
        ip_protocol: config.ip_protocol.into(),
        port: config.port.map(u32::from),
        has_direction: !config.is_loopback,
    };
    if packets.link > 0 {
        program.load(LOAD_HALF, ETHERTYPE_OFFSET);
        program.test(EQUALS, ethertype, Target::Next, Target::Drop);
    }
    match config.peer {
        IpAddr::V4(peer) => ipv4(&mut program, packets, peer),
        IpAddr::V6(peer) => ipv6(&mut program, packets, peer),
    }
    program.assemble()
}

/// The accepted packets of the peer.
#[derive(Clone, Copy)]
struct Packets {
    /// The length of the link header, in bytes.
    link: u32,
    ip_protocol: u32,
    /// The peer's port. With `None`, all packets of the protocol are accepted.
    port: Option<u32>,
    /// Whether the packet's type shows its direction.
    has_direction: bool,
}

/// The end of a packet to which an address in its header belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Destination,
}

fn ipv4(program: &mut Assembler, packets: Packets, peer: Ipv4Addr) {
    let Packets { link, ip_protocol, port, .. } = packets;
    let peer = u32::from(peer);
    program.load(LOAD_HEADER_LENGTH, link);
    program.load(LOAD_BYTE, link + 9);
    program.test(EQUALS, ICMP, Target::Next, Target::Label("not ICMP"));
    program.load(LOAD_BYTE_AFTER_HEADER, link);
    for kind in headers::ICMP_ERROR_TYPES {
        program.test(EQUALS, kind.into(), Target::Label("ICMP error"), Target::Next);
    }
    // Other ICMP messages are accepted only if the capture is for this protocol number.
    program.load(LOAD_BYTE, link + 9);

    program.label("not ICMP");
    program.test(EQUALS, ip_protocol, Target::Next, Target::Drop);
    // Test the source first, then the destination. The offset of the address counts from the start of the IP header.
    // The offset of the port counts from the end of the IP header.
    for (end, address_offset, port_offset, other) in [
        (End::Source, 12, 0, Target::Label("not from the peer")),
        (End::Destination, 16, 2, Target::Drop),
    ] {
        program.load(LOAD_WORD, link + address_offset);
        program.test(EQUALS, peer, Target::Next, other);
        direction(program, packets, end, other);
        if let Some(port) = port {
            program.load(LOAD_HALF, link + 6);
            program.test(HAS_ANY_BIT, FRAGMENT_OFFSET_BITS, Target::Accept, Target::Next);
            program.load(LOAD_HALF_AFTER_HEADER, link + port_offset);
            program.test(EQUALS, port, Target::Accept, other);
        } else {
            program.jump(Target::Accept);
        }
        if let Target::Label(name) = other {
            program.label(name);
        }
    }

    program.label("ICMP error");
    for (address_offset, other) in [(12, Target::Next), (16, Target::Drop)] {
        program.load(LOAD_WORD_AFTER_HEADER, link + ICMP_HEADER + address_offset);
        program.test(EQUALS, peer, Target::Accept, other);
    }
}

fn ipv6(program: &mut Assembler, packets: Packets, peer: Ipv6Addr) {
    let Packets { link, ip_protocol, port, .. } = packets;
    program.load(LOAD_BYTE, link + 6);
    program.test(EQUALS, ICMPV6, Target::Next, Target::Label("not ICMPv6"));
    program.load(LOAD_BYTE, link + IPV6_HEADER);
    program.test(GREATER, MAX_ICMPV6_ERROR, Target::Next, Target::Label("ICMPv6 error"));
    // Other ICMPv6 messages are accepted only if the capture is for this protocol number.
    program.load(LOAD_BYTE, link + 6);

    program.label("not ICMPv6");
    program.test(EQUALS, IPV6_FRAGMENT, Target::Label("fragment"), Target::Next);
    program.test(EQUALS, ip_protocol, Target::Next, Target::Drop);
    // Test the source first, then the destination. Both offsets, of the address and of the port,
    // are relative to the start of the IP header.
    for (end, address_offset, port_offset, other) in [
        (End::Source, 8, IPV6_HEADER, Target::Label("not from the peer")),
        (End::Destination, 24, IPV6_HEADER + 2, Target::Drop),
    ] {
        address_v6(program, link + address_offset, peer, other);
        direction(program, packets, end, other);
        if let Some(port) = port {
            program.load(LOAD_HALF, link + port_offset);
            program.test(EQUALS, port, Target::Accept, other);
        } else {
            program.jump(Target::Accept);
        }
        if let Target::Label(name) = other {
            program.label(name);
        }
    }

    program.label("fragment");
    for (end, address_offset, other) in [
        (End::Source, 8, Target::Label("fragment not from the peer")),
        (End::Destination, 24, Target::Drop),
    ] {
        address_v6(program, link + address_offset, peer, other);
        direction(program, packets, end, other);
        program.jump(Target::Accept);
        if let Target::Label(name) = other {
            program.label(name);
        }
    }

    program.label("ICMPv6 error");
    let quoted = link + IPV6_HEADER + ICMP_HEADER;
    for (address_offset, other) in
        [(8, Target::Label("quoted packet not from the peer")), (24, Target::Drop)]
    {
        address_v6(program, quoted + address_offset, peer, other);
        program.jump(Target::Accept);
        if let Target::Label(name) = other {
            program.label(name);
        }
    }
}

/// Continues with the next instruction if the address at `offset` is `peer`, otherwise at `other`.
fn address_v6(program: &mut Assembler, offset: u32, peer: Ipv6Addr, other: Target) {
    for (word_offset, word) in (0..).step_by(4).zip(words(peer)) {
        program.load(LOAD_WORD, offset + word_offset);
        program.test(EQUALS, word, Target::Next, other);
    }
}

/// Continues with the next instruction if this host sent a packet to the peer, or received a packet from the peer. For
/// the other direction, continues at `other`. `end` is the end of the packet that has the address of the peer.
fn direction(program: &mut Assembler, packets: Packets, end: End, other: Target) {
    if packets.has_direction {
        program.load(LOAD_BYTE, PACKET_TYPE);
        match end {
            End::Source => program.test(EQUALS, OUTGOING, other, Target::Next),
            End::Destination => program.test(EQUALS, OUTGOING, Target::Next, other),
        }
    }
}

/// The four words of an IPv6 address.
fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = address.to_bits();
    [96, 64, 32, 0].map(|shift| u32::try_from(bits >> shift & u128::from(u32::MAX)).unwrap_or(0))
}

/// The target of a jump. BPF allows only jumps forward.
#[derive(Debug, Clone, Copy)]
enum Target {
    Next,
    Accept,
    Drop,
    Label(&'static str),
}

/// Collects instructions, and replaces the targets of their jumps with distances.
#[derive(Default)]
struct Assembler {
    instructions: Vec<UnresolvedInstruction>,
    /// The name of each label, and the index of the instruction that follows it.
    labels: Vec<(&'static str, usize)>,
}

/// An instruction before its jumps are replaced with distances.
#[derive(Clone, Copy)]
struct UnresolvedInstruction {
    code: u16,
    operand: u32,
    if_true: Target,
    if_false: Target,
}

impl Assembler {
    fn load(&mut self, code: u16, offset: u32) {
        self.test(code, offset, Target::Next, Target::Next);
    }

    fn test(&mut self, code: u16, operand: u32, if_true: Target, if_false: Target) {
        self.instructions.push(UnresolvedInstruction { code, operand, if_true, if_false });
    }

    fn jump(&mut self, target: Target) {
        self.test(EQUALS, 0, target, target);
    }

    fn label(&mut self, name: &'static str) {
        self.labels.push((name, self.instructions.len()));
    }

    /// Builds the program. Its last two instructions accept and drop the packet.
    ///
    /// # Panics
    ///
    /// A label is missing, is before a jump to it, or is more than 255 instructions away. This is an error in this
    /// file. The tests assemble programs for IPv4 and IPv6.
    fn assemble(self) -> Vec<FilterInstruction> {
        let accept = self.instructions.len();
        let distance = |from: usize, target: Target| {
            let index = match target {
                Target::Next => from + 1,
                Target::Accept => accept,
                Target::Drop => accept + 1,
                Target::Label(name) => {
                    let label = self.labels.iter().find(|(label, _)| *label == name);
                    label.expect("every label has a position").1
                }
            };
            let distance = index.checked_sub(from + 1).and_then(|skip| u8::try_from(skip).ok());
            distance.expect("every jump is forward and short")
        };
        let mut program: Vec<FilterInstruction> = self
            .instructions
            .iter()
            .enumerate()
            .map(|(index, instruction)| FilterInstruction {
                code: instruction.code,
                skip_if_true: distance(index, instruction.if_true),
                skip_if_false: distance(index, instruction.if_false),
                operand: instruction.operand,
            })
            .collect();
        program.extend([WHOLE_PACKET, 0].map(|operand| FilterInstruction {
            code: RETURN,
            skip_if_true: 0,
            skip_if_false: 0,
            operand,
        }));
        program
    }
}

#[cfg(test)]
mod tests;
