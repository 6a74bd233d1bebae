//! The identifiers of raw sockets, and the packet filter of a raw socket.
//!
//! A raw socket receives every ICMP message from its peer. So it also receives its own requests on loopback, and the
//! replies to every other socket of this host. They would take time in the measurement. The kernel therefore drops:
//!
//! - all messages except echo replies
//! - replies to other sockets of this process, for example to its control exchanges
//!
//! Replies with any other identifier reach the program, which counts them as stray packets.

use super::facts::IDENTIFIER;
use super::message::Version;
use crate::net::resolve::MAX_ADDRESSES;
use crate::net::system::packet_filter::FilterInstruction;
use crate::net::system::packet_filter::opcode::{
    AND, EQUALS, LOAD_BYTE, LOAD_BYTE_AFTER_HEADER, LOAD_HALF, LOAD_HALF_AFTER_HEADER,
    LOAD_HEADER_LENGTH, RETURN,
};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The bits of an identifier that distinguish the sockets of a process.
const SOCKET_BITS: u16 = 0x00ff;

// A diagnosis has the largest number of open sockets. It can have two for each address: one that measures ICMP, and one
// that checks the host of the other protocols. A process must not use an identifier twice at the same time.
const _: () = assert!(2 * MAX_ADDRESSES <= SOCKET_BITS as usize + 1);

/// A new identifier for a raw socket. The identifiers of a process differ only in [`SOCKET_BITS`]. The other bits are
/// random, so two processes rarely have the same identifiers.
pub(super) fn new_identifier() -> u16 {
    static FIRST: OnceLock<u16> = OnceLock::new();
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = *FIRST.get_or_init(|| fastrand::u16(..));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    (first & !SOCKET_BITS) | (first.wrapping_add(number) & SOCKET_BITS)
}

/// Whether two identifiers of raw sockets can belong to one process.
pub(super) fn are_of_one_process(a: u16, b: u16) -> bool {
    (a ^ b) & !SOCKET_BITS == 0
}

/// The filter of a raw socket with this identifier. A raw socket for IPv4 filters packets with their IP header.
pub(super) fn program(version: Version, identifier: u16) -> Vec<FilterInstruction> {
    let (load_byte, load_half) = match version {
        Version::V4 => (LOAD_BYTE_AFTER_HEADER, LOAD_HALF_AFTER_HEADER),
        Version::V6 => (LOAD_BYTE, LOAD_HALF),
    };
    let jump = |operand, skip_if_true, skip_if_false| FilterInstruction {
        code: EQUALS,
        skip_if_true,
        skip_if_false,
        operand,
    };
    let step =
        |code, operand| FilterInstruction { code, skip_if_true: 0, skip_if_false: 0, operand };
    let family = u32::from(identifier & !SOCKET_BITS);
    let load_header_length = (version == Version::V4).then(|| step(LOAD_HEADER_LENGTH, 0));
    load_header_length
        .into_iter()
        .chain([
            step(load_byte, 0),
            jump(u32::from(version.types().reply), 0, 5), // otherwise drop
            step(load_half, IDENTIFIER.into()),
            jump(u32::from(identifier), 2, 0), // accept
            step(AND, u32::from(!SOCKET_BITS)),
            jump(family, 1, 0), // drop
            step(RETURN, u32::MAX),
            step(RETURN, 0),
        ])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::system::packet_filter::accepts;

    fn packet(version: Version, kind: u8, identifier: u16) -> Vec<u8> {
        let header = if version == Version::V4 { &[0x45; 20][..] } else { &[] };
        let [high, low] = identifier.to_be_bytes();
        [header, &[kind, 0, 0, 0, high, low, 0, 1]].concat()
    }

    #[test]
    fn only_replies_that_belong_to_no_other_socket_of_the_process_pass() {
        for version in [Version::V4, Version::V6] {
            let ours = 0x1234;
            let program = program(version, ours);
            let reply = version.types().reply;
            assert!(accepts(&program, &packet(version, reply, ours)));
            for other in [1, 0x40, 0xff] {
                let reply = packet(version, reply, ours ^ other);
                assert!(!accepts(&program, &reply), "another socket");
            }
            assert!(accepts(&program, &packet(version, reply, ours ^ 0x0100)), "stray");
            assert!(!accepts(&program, &packet(version, reply ^ 8, ours)), "another type");
            let truncated = &packet(version, reply, ours)[..];
            assert!(!accepts(&program, &truncated[..truncated.len() - 3]));
        }
    }

    #[test]
    fn sockets_of_a_process_have_different_identifiers_of_one_family() {
        let identifiers: Vec<u16> = (0..2 * MAX_ADDRESSES).map(|_| new_identifier()).collect();
        for (index, identifier) in identifiers.iter().enumerate() {
            assert!(!identifiers[..index].contains(identifier));
            assert_eq!(identifier & !SOCKET_BITS, identifiers[0] & !SOCKET_BITS);
        }
    }
}
