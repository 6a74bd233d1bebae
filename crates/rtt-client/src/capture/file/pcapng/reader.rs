//! Reads pcapng files of either byte order. A file can have several sections and time resolutions.

use super::{
    BLOCK_OVERHEAD, BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS,
    OBSOLETE_PACKET, OPTION_DROPPED, OPTION_END, OPTION_TIME_RESOLUTION, SECTION_HEADER_BYTES,
    SIMPLE_PACKET,
};
use crate::capture::file::{
    ByteOrder, CapturedPacket, FileContents, Incomplete, LinkType, MAX_BLOCK_BYTES, MAX_INTERFACES,
    MAX_PACKET_BYTES, read_bytes, require_bytes,
};
use std::io::Read;
use std::time::Duration;

/// The time resolution of an interface without the option `if_tsresol`: 10^-6 s. The constant is the exponent
/// without its sign.
const DEFAULT_RESOLUTION: u8 = 6;

/// An interface of a section.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: LinkType,
    /// The number of time units in one second.
    units_per_second: u64,
    /// The maximum captured length of a packet, in bytes.
    snapshot_length: usize,
    /// The number of dropped packets in the latest statistics. Each number is the count since the start of the
    /// capture.
    dropped: u64,
}

/// A block without its type and lengths.
struct Block {
    /// `None` for a section header.
    block_type: Option<u32>,
    body: Vec<u8>,
}

/// Reads all packets of all sections. The caller has already read the type of the first block.
///
/// # Errors
///
/// The reason why later packets are missing.
pub(in crate::capture::file) fn read(
    file: &mut dyn Read,
    contents: &mut FileContents,
) -> Result<(), Incomplete> {
    let mut section = Section::new();
    let mut type_bytes = Some(SECTION_HEADER_BYTES.to_vec());
    while let Some(bytes) = type_bytes {
        let block = section.read_block(file, &bytes)?;
        section.process(block, contents)?;
        type_bytes = read_bytes(file, 4)?;
    }
    Ok(())
}

/// The values from earlier blocks that later blocks need.
struct Section {
    byte_order: ByteOrder,
    interfaces: Vec<Interface>,
    /// The sum of [`Interface::dropped`] over all interfaces of all sections. Each block updates the sum, because a new
    /// sum would visit all interfaces. 128 bits cannot overflow.
    dropped: u128,
}

impl Section {
    fn new() -> Self {
        Self { byte_order: ByteOrder::Little, interfaces: Vec::new(), dropped: 0 }
    }

    /// Reads the rest of a block. `type_bytes` is its type.
    fn read_block(&mut self, file: &mut dyn Read, type_bytes: &[u8]) -> Result<Block, Incomplete> {
        let length = require_bytes(file, 4, "a block")?;
        let is_section_header = type_bytes == SECTION_HEADER_BYTES;
        let mut overhead = BLOCK_OVERHEAD;
        if is_section_header {
            // The length before the byte-order magic already has the byte order of the section.
            let magic = require_bytes(file, 4, "a section header")?;
            overhead += magic.len();
            self.begin(&magic)?;
        }
        let length = self.byte_order.length(&length, 0).unwrap_or(usize::MAX);
        if length < overhead || length > MAX_BLOCK_BYTES || !length.is_multiple_of(4) {
            return Err(Incomplete::BlockLength(length));
        }
        let body = require_bytes(file, length - overhead, "a block")?;
        let second_length = require_bytes(file, 4, "a block")?;
        if self.byte_order.length(&second_length, 0) != Some(length) {
            return Err(Incomplete::BlockLengthsDiffer);
        }
        let block_type = if is_section_header { None } else { self.byte_order.u32(type_bytes, 0) };
        Ok(Block { block_type, body })
    }

    /// Begins a new section. `magic` shows its byte order.
    fn begin(&mut self, magic: &[u8]) -> Result<(), Incomplete> {
        self.byte_order = if magic == BYTE_ORDER_MAGIC.to_be_bytes() {
            ByteOrder::Big
        } else if magic == BYTE_ORDER_MAGIC.to_le_bytes() {
            ByteOrder::Little
        } else {
            return Err(Incomplete::ByteOrder);
        };
        self.interfaces.clear();
        Ok(())
    }

    fn process(&mut self, block: Block, contents: &mut FileContents) -> Result<(), Incomplete> {
        let Block { block_type, mut body } = block;
        match block_type {
            Some(INTERFACE_DESCRIPTION) if self.interfaces.len() == MAX_INTERFACES => {
                Err(Incomplete::TooManyInterfaces)
            }
            Some(INTERFACE_DESCRIPTION) => {
                self.interfaces.push(self.interface(&body).ok_or(Incomplete::Interface)?);
                Ok(())
            }
            Some(ENHANCED_PACKET) => {
                contents.add(self.enhanced_packet(&body).ok_or(Incomplete::PacketBlock)?)
            }
            Some(OBSOLETE_PACKET) => {
                // The interface number has only 16 bits here. The other 16 bits are a count of dropped
                // packets. All other fields are those of an enhanced packet.
                let interface = self.byte_order.u16(&body, 0).ok_or(Incomplete::PacketBlock)?;
                let number = self.byte_order.u32_to_bytes(interface.into());
                body.get_mut(..4).ok_or(Incomplete::PacketBlock)?.copy_from_slice(&number);
                contents.add(self.enhanced_packet(&body).ok_or(Incomplete::PacketBlock)?)
            }
            Some(SIMPLE_PACKET) => {
                contents.without_time += 1;
                contents.add(self.simple_packet(&body).ok_or(Incomplete::PacketBlock)?)
            }
            Some(INTERFACE_STATISTICS) => {
                if self.add_statistics(&body).is_some() {
                    contents.dropped = Some(u64::try_from(self.dropped).unwrap_or(u64::MAX));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Stores the number of dropped packets of an interface. Returns `None` if the block does not contain this number,
    /// or if its interface is not described.
    fn add_statistics(&mut self, body: &[u8]) -> Option<()> {
        let index = self.byte_order.length(body, 0)?;
        let dropped = option(self.byte_order, body.get(12..)?, OPTION_DROPPED)?;
        let dropped = self.byte_order.u64(dropped, 0)?;
        let interface = self.interfaces.get_mut(index)?;
        self.dropped = self.dropped - u128::from(interface.dropped) + u128::from(dropped);
        interface.dropped = dropped;
        Some(())
    }

    fn interface(&self, body: &[u8]) -> Option<Interface> {
        let link_type = LinkType::from_number(self.byte_order.u16(body, 0)?.into());
        let snapshot_length = match self.byte_order.length(body, 4)? {
            // 0 means no limit.
            0 => MAX_PACKET_BYTES,
            length => length,
        };
        let resolution = option(self.byte_order, body.get(8..)?, OPTION_TIME_RESOLUTION);
        let resolution = resolution.and_then(|value| value.first()).copied();
        let units_per_second = match resolution.unwrap_or(DEFAULT_RESOLUTION) {
            // The highest bit selects the base: 2 if the bit is set, otherwise 10.
            exponent @ 0x80.. => 1_u64.checked_shl(u32::from(exponent & 0x7f)),
            exponent => 10_u64.checked_pow(exponent.into()),
        };
        let units_per_second = units_per_second?;
        Some(Interface { link_type, units_per_second, snapshot_length, dropped: 0 })
    }

    fn enhanced_packet(&self, body: &[u8]) -> Option<CapturedPacket> {
        let index = self.byte_order.length(body, 0)?;
        let interface = self.interfaces.get(index)?;
        let (high, low) = (self.byte_order.u32(body, 4)?, self.byte_order.u32(body, 8)?);
        let units = u64::from(high) << 32 | u64::from(low);
        let time = time_from_units(units, interface.units_per_second)?;
        let captured = self.byte_order.length(body, 12)?;
        if captured > MAX_PACKET_BYTES {
            return None;
        }
        Some(CapturedPacket {
            time,
            original_length: self.byte_order.length(body, 16)?,
            bytes: body.get(20..)?.get(..captured)?.to_vec(),
            link_type: interface.link_type,
            interface: index,
        })
    }

    /// A simple packet has no time, and it belongs to the first interface.
    fn simple_packet(&self, body: &[u8]) -> Option<CapturedPacket> {
        let interface = self.interfaces.first()?;
        let original_length = self.byte_order.length(body, 0)?;
        let data = body.get(4..)?;
        let captured = original_length.min(interface.snapshot_length).min(data.len());
        if captured > MAX_PACKET_BYTES {
            return None;
        }
        Some(CapturedPacket {
            time: Duration::ZERO,
            original_length,
            bytes: data.get(..captured)?.to_vec(),
            link_type: interface.link_type,
            interface: 0,
        })
    }
}

fn time_from_units(units: u64, units_per_second: u64) -> Option<Duration> {
    let fraction = u128::from(units % units_per_second) * 1_000_000_000;
    let nanoseconds = u32::try_from(fraction / u128::from(units_per_second)).ok()?;
    Some(Duration::new(units / units_per_second, nanoseconds))
}

/// The value of the first option with the code `expected`.
fn option(byte_order: ByteOrder, mut options: &[u8], expected: u16) -> Option<&[u8]> {
    loop {
        let code = byte_order.u16(options, 0)?;
        let length = usize::from(byte_order.u16(options, 2)?);
        if code == OPTION_END {
            return None;
        }
        let value = options.get(4..)?.get(..length)?;
        if code == expected {
            return Some(value);
        }
        options = options.get(4 + length.next_multiple_of(4)..)?;
    }
}
