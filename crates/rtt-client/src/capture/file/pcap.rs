//! Reads pcap, the older capture file format (draft-ietf-opsawg-pcap).
//!
//! A file header of 24 bytes contains a magic number and the link type. The magic number defines the byte
//! order and the resolution of all times. The packets follow. Each packet has a header of 16 bytes: seconds,
//! fraction of a second, captured length, original length.

use super::{
    ByteOrder, CapturedPacket, FileContents, Incomplete, LinkType, MAX_PACKET_BYTES, read_bytes,
    require_bytes,
};
use std::io::Read;
use std::time::Duration;

/// The length of the file header without the magic number, in bytes.
const FILE_HEADER: usize = 20;

/// The length of a packet header, in bytes.
const PACKET_HEADER: usize = 16;

/// A variant of the format. The magic number defines it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    byte_order: ByteOrder,
    /// The unit of the fraction of a second, in nanoseconds: 1 or 1000.
    unit_ns: u32,
}

impl Variant {
    pub(super) fn from_magic(magic: [u8; 4]) -> Option<Self> {
        let (byte_order, unit_ns) = match u32::from_be_bytes(magic) {
            0xa1b2_c3d4 => (ByteOrder::Big, 1000),
            0xd4c3_b2a1 => (ByteOrder::Little, 1000),
            0xa1b2_3c4d => (ByteOrder::Big, 1),
            0x4d3c_b2a1 => (ByteOrder::Little, 1),
            _ => return None,
        };
        Some(Self { byte_order, unit_ns })
    }
}

/// Reads the rest of the file. The caller has already read the magic number.
///
/// # Errors
///
/// The reason why later packets are missing.
pub(super) fn read(
    file: &mut dyn Read,
    variant: Variant,
    contents: &mut FileContents,
) -> Result<(), Incomplete> {
    let Variant { byte_order, unit_ns } = variant;
    let header = require_bytes(file, FILE_HEADER, "the file header")?;
    // The upper 16 bits of this field can describe a checksum at the end of each packet.
    let number =
        byte_order.u32(&header, 16).ok_or(Incomplete::EndsWithin("the file header"))? & 0xffff;
    let link_type = LinkType::from_number(number);
    while let Some(header) = read_bytes(file, PACKET_HEADER)? {
        let field = |offset| byte_order.u32(&header, offset).unwrap_or(0);
        let captured = byte_order.length(&header, 8).unwrap_or(usize::MAX);
        let original_length = byte_order.length(&header, 12).unwrap_or(captured);
        if captured > MAX_PACKET_BYTES {
            return Err(Incomplete::PacketLength(captured));
        }
        let bytes = require_bytes(file, captured, "a packet")?;
        let fraction = Duration::from_nanos(u64::from(field(4)) * u64::from(unit_ns));
        let time = Duration::from_secs(field(0).into()) + fraction;
        contents.add(CapturedPacket { time, original_length, bytes, link_type, interface: 0 })?;
    }
    Ok(())
}
