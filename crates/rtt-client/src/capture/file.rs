//! Capture files. The program reads and writes pcapng. It also reads pcap, the older format.
//!
//! A file can come from any source, so its content is not trusted. Every length is checked before its use,
//! and the limits below bound the memory. After an error in the file, the reader keeps the earlier packets.
//!
//! # Why this is our own code
//!
//! Each library for these formats has a disadvantage:
//!
//! - `pcap-file` 2.0 writes the times of enhanced packets as nanoseconds and ignores the resolution of
//!   the interface. A version requirement of `"3.0.0-rc.3"` selects the older `3.0.0-rc1`, because `rc1` is
//!   higher than `rc.3` in semantic versioning.
//! - `pcap-parser` 0.17 is a parser. Writing is an optional feature that is off by default.
//! - libpcap requires the installation of a system `-dev` package before the build.

mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

pub(crate) use pcapng::writer::{InterfaceDescription, Writer};

use std::io::{self, Read};
use std::time::Duration;

/// The maximum captured length of one packet, in bytes. The default of tcpdump is the same.
pub(crate) const MAX_PACKET_BYTES: usize = 256 * 1024;

/// The maximum number of packets that are read from a file, or stored of the capture of one target. It bounds the
/// memory for the descriptions of packets, and the length of the report.
pub(crate) const MAX_PACKETS: usize = 100_000;

/// The maximum number of bytes in all packets that are read from a file, or stored of the capture of one target. The
/// memory can contain a byte in the captured packet, in the flow, and in the upper case of a request, which can be
/// three times as long.
pub(crate) const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// The maximum length of a pcapng block, in bytes: the longest packet and about 1 MiB of options.
const MAX_BLOCK_BYTES: usize = MAX_PACKET_BYTES + 1024 * 1024;

/// The maximum number of interfaces that one section of a pcapng file may describe. More interfaces are an error.
const MAX_INTERFACES: usize = 1024;

/// A packet as it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturedPacket {
    /// The time since 1970-01-01 00:00 UTC.
    pub(crate) time: Duration,
    /// The length on the wire, in bytes. It can be larger than the length of `bytes`.
    pub(crate) original_length: usize,
    /// The captured bytes. They begin with the link header.
    pub(crate) bytes: Vec<u8>,
    pub(crate) link_type: LinkType,
    /// The index of the interface in its section of the file. The first interface has index 0.
    pub(crate) interface: usize,
}

/// The kind of link header at the beginning of a packet (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkType {
    Ethernet,
    /// BSD loopback. The header is the address family (4 bytes), in host or in network byte order.
    Null,
    /// The packet has no link header. It begins with the IP header.
    Raw,
    /// Linux "cooked" capture. A header of 16 bytes replaces the link header.
    Cooked,
    /// The second version of the cooked capture, with a header of 20 bytes.
    Cooked2,
    Other(u32),
}

impl LinkType {
    /// The number in a capture file.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Other(number) => number,
        }
    }

    fn from_number(number: u32) -> Self {
        match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            // 12 and 14: IP on BSD systems. 228: IPv4 only. 229: IPv6 only.
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            other => Self::Other(other),
        }
    }
}

/// The content of a capture file.
#[derive(Debug, Default)]
pub(crate) struct FileContents {
    pub(crate) packets: Vec<CapturedPacket>,
    /// The number of packets that the capture lost, if the file contains this number.
    pub(crate) dropped: Option<u64>,
    /// The number of packets without a time.
    pub(crate) without_time: u64,
    /// The reason why only a part of the file was read.
    pub(crate) incomplete: Option<Incomplete>,
    total_bytes: usize,
}

impl FileContents {
    /// Adds a packet, unless a limit is reached.
    fn add(&mut self, packet: CapturedPacket) -> Result<(), Incomplete> {
        self.total_bytes += packet.bytes.len();
        if self.packets.len() >= MAX_PACKETS {
            return Err(Incomplete::TooManyPackets);
        }
        if self.total_bytes > MAX_TOTAL_BYTES {
            return Err(Incomplete::TooManyBytes);
        }
        self.packets.push(packet);
        Ok(())
    }
}

/// The reason why nothing of a file was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("reading the file failed")]
    Read(#[source] io::Error),
    #[error("the file is neither pcapng nor pcap")]
    UnknownFormat,
}

/// The reason why only a part of a file was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Incomplete {
    #[error("the file ends after {received} of {expected} bytes of a field or packet")]
    EndsEarly { expected: usize, received: usize },
    #[error("the file ends within {0}")]
    EndsWithin(&'static str),
    #[error("a section header has no valid byte-order number")]
    ByteOrder,
    #[error("the length of a block is not valid: {0} bytes")]
    BlockLength(usize),
    #[error("the two lengths of a block differ")]
    BlockLengthsDiffer,
    #[error("an interface description is not valid")]
    Interface,
    #[error("the file describes more than {MAX_INTERFACES} interfaces")]
    TooManyInterfaces,
    #[error("a packet block is not valid, or its interface is not described")]
    PacketBlock,
    #[error("the length of a packet is not valid: {0} bytes")]
    PacketLength(usize),
    #[error("the file has more than {MAX_PACKETS} packets; the rest is not read")]
    TooManyPackets,
    #[error(
        "the packets of the file have more than {} MiB; the rest is not read",
        MAX_TOTAL_BYTES / (1024 * 1024)
    )]
    TooManyBytes,
    #[error("reading the file failed")]
    Read(#[source] io::Error),
}

/// Reads a pcapng or pcap file.
///
/// # Errors
///
/// [`FileError`] if the beginning of the file cannot be read, or if the file has another format. A later error
/// is in [`FileContents::incomplete`].
pub(crate) fn read(mut file: impl Read) -> Result<FileContents, FileError> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FileError::UnknownFormat,
        _ => FileError::Read(error),
    })?;
    let mut contents = FileContents::default();
    let end = match magic {
        pcapng::SECTION_HEADER_BYTES => pcapng::reader::read(&mut file, &mut contents),
        magic => match pcap::Variant::from_magic(magic) {
            Some(variant) => pcap::read(&mut file, variant, &mut contents),
            None => return Err(FileError::UnknownFormat),
        },
    };
    contents.incomplete = end.err();
    Ok(contents)
}

/// The byte order of the integers in a file, usually that of the host that wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The 16-bit integer at `offset`. Returns `None` if `bytes` is too short.
    fn u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let bytes = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }

    /// The 32-bit integer at `offset`.
    fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let bytes = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    /// The 64-bit integer at `offset`.
    fn u64(self, bytes: &[u8], offset: usize) -> Option<u64> {
        let bytes = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        })
    }

    /// The 32-bit length or index at `offset`.
    fn length(self, bytes: &[u8], offset: usize) -> Option<usize> {
        usize::try_from(self.u32(bytes, offset)?).ok()
    }

    fn u32_to_bytes(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}

/// Reads exactly `length` bytes. Returns `None` at the end of the file. If the file ends after some of the bytes,
/// returns an error.
///
/// The memory grows with the bytes that the file contains. A wrong `length` alone does not allocate memory.
fn read_bytes(file: &mut dyn Read, length: usize) -> Result<Option<Vec<u8>>, Incomplete> {
    let mut bytes = Vec::new();
    let received = file.take(length as u64).read_to_end(&mut bytes).map_err(Incomplete::Read)?;
    match received {
        0 if length > 0 => Ok(None),
        _ if received == length => Ok(Some(bytes)),
        _ => Err(Incomplete::EndsEarly { expected: length, received }),
    }
}

/// Reads exactly `length` bytes. The end of the file is an error, and `part` names the missing bytes.
fn require_bytes(
    file: &mut dyn Read,
    length: usize,
    part: &'static str,
) -> Result<Vec<u8>, Incomplete> {
    read_bytes(file, length)?.ok_or(Incomplete::EndsWithin(part))
}
