//! The older format: a header, and packets of one kind.

use super::{CapturedPacket, FileContents, LONGEST_PACKET, LinkType, Order, piece};
use std::io::Read;
use std::time::Duration;

/// The lengths of the file's header behind its magic number, and of a packet's.
const HEADER: usize = 20;
const PACKET_HEADER: usize = 16;

/// What the magic number tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    order: Order,
    /// How many of a packet's fractions make a nanosecond: 1 or 1000 nanoseconds each.
    nanoseconds: u32,
}

impl Kind {
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        let (order, nanoseconds) = match u32::from_be_bytes(magic) {
            0xa1b2_c3d4 => (Order::Big, 1000),
            0xd4c3_b2a1 => (Order::Little, 1000),
            0xa1b2_3c4d => (Order::Big, 1),
            0x4d3c_b2a1 => (Order::Little, 1),
            _ => return None,
        };
        Some(Self { order, nanoseconds })
    }
}

/// Reads all packets; an error says why not all.
pub(super) fn read(
    file: &mut dyn Read,
    kind: Kind,
    contents: &mut FileContents,
) -> Result<(), String> {
    let Kind { order, nanoseconds } = kind;
    let header = piece(file, HEADER)?.ok_or("its header breaks off")?;
    // The upper half tells of checksums at a packet's end.
    let link = order.u32(&header, 16).ok_or("its header breaks off")? & 0xffff;
    let link = LinkType::of(link);
    while let Some(head) = piece(file, PACKET_HEADER)? {
        let word = |at| order.u32(&head, at).unwrap_or(0);
        let captured = order.length(&head, 8).unwrap_or(usize::MAX);
        let original = order.length(&head, 12).unwrap_or(captured);
        if captured > LONGEST_PACKET {
            return Err(format!("a packet of {captured} bytes is none"));
        }
        let bytes = match captured {
            0 => Vec::new(),
            _ => piece(file, captured)?.ok_or("a packet breaks off")?,
        };
        let fraction = Duration::from_nanos(u64::from(word(4)) * u64::from(nanoseconds));
        let time = Duration::from_secs(word(0).into()) + fraction;
        contents.keep(CapturedPacket { time, original, bytes, link, interface: 0 })?;
    }
    Ok(())
}
