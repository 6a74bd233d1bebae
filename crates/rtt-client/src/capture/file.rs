//! Capture files: pcapng is read and written, the older pcap is read.
//!
//! A file can come from any source, so its content is treated as hostile. Every length is checked before it is used,
//! the limits below bound the memory, and an error in the file ends the reading but keeps the packets before it.
//!
//! # Why this is our own code
//!
//! The libraries for these formats have unsafe buffers and panics, trust lengths from the file, or omit comments.
//!
//! - `pcap-file` 2.0 writes the times of enhanced packets as nanoseconds and ignores the resolution of the interface.
//!   A version requirement of `"3.0.0-rc.3"` selects the older `3.0.0-rc1`.
//! - `pcap-parser` 0.17 is a parser. Writing is an optional feature that is off by default.
//! - libpcap needs a system `-dev` package to build. Two commands would no longer be enough to start the project.

mod input;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

pub(crate) use pcapng::writer::{InterfaceDescription, Writer};

use std::io::{self, Read};
use std::time::Duration;

/// The maximum captured length of one packet, in bytes: four times the maximum of IP (65,535 bytes).
pub(crate) const MAX_PACKET_BYTES: usize = 256 * 1024;

/// The maximum number of packets that are read or captured.
pub(crate) const MAX_PACKETS: usize = 100_000;

/// The maximum number of packet bytes that are kept. Up to four copies exist at the same time: the captured bytes, the
/// dissected payload, the payload in the flow, and the latest requests in upper case.
pub(crate) const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// The maximum length of a pcapng block, in bytes: the longest packet and 1 MiB of options.
const MAX_BLOCK_BYTES: usize = MAX_PACKET_BYTES + 1024 * 1024;

/// The maximum number of interfaces that one section of a pcapng file describes.
const MAX_INTERFACES: usize = 1024;

/// A packet as it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturedPacket {
    /// The time since 1970-01-01 00:00 UTC.
    pub(crate) time: Duration,
    /// The length on the wire, in bytes. The capture can be shorter.
    pub(crate) original_length: usize,
    /// The captured bytes.
    pub(crate) bytes: Vec<u8>,
    /// The header that `bytes` begins with.
    pub(crate) link_type: LinkType,
    /// The index of the file's interface on which the packet was captured, from 0.
    pub(crate) interface: usize,
}

/// The kind of header that a captured packet begins with (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkType {
    Ethernet,
    /// BSD loopback: four bytes of address family, in the byte order of the host or of the network.
    Null,
    /// No link header: the packet begins with the IP header.
    Raw,
    /// Linux "cooked" capture: a header of 16 bytes that replaces the link header.
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
    /// The number of packets that the capturing program did not store, if the file contains this number.
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
        if self.packets.len() >= MAX_PACKETS || self.total_bytes > MAX_TOTAL_BYTES {
            return Err(Incomplete::Limit { packets: self.packets.len() });
        }
        self.packets.push(packet);
        Ok(())
    }
}

/// Why a file can't be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the file can't be read")]
    Read(#[source] io::Error),
    #[error("the file is neither pcapng nor pcap")]
    UnknownFormat,
}

/// Why only a part of a file was read. The packets before this point are kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Incomplete {
    #[error("the file ends early: {received} of {expected} bytes are present")]
    EndsEarly { expected: usize, received: usize },
    #[error("the file ends within {0}")]
    EndsWithin(&'static str),
    #[error("a section header has no valid byte-order magic")]
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
    #[error(
        "only the first {packets} packets were read (the limits are {MAX_PACKETS} packets and \
         {} MiB)",
        MAX_TOTAL_BYTES / (1024 * 1024)
    )]
    Limit { packets: usize },
    #[error("the file can't be read further: {0}")]
    Read(io::Error),
}

/// Reads a pcapng or pcap file.
///
/// # Errors
///
/// [`FileError`] if the beginning of the file can't be read or belongs to another format. A later error is in
/// [`FileContents::incomplete`].
pub(crate) fn read(mut file: impl Read) -> Result<FileContents, FileError> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FileError::UnknownFormat,
        _ => FileError::Read(error),
    })?;
    let mut contents = FileContents::default();
    let end = match magic {
        pcapng::SECTION_MAGIC => pcapng::reader::read(&mut file, &mut contents),
        magic => match pcap::Variant::from_magic(magic) {
            Some(variant) => pcap::read(&mut file, variant, &mut contents),
            None => return Err(FileError::UnknownFormat),
        },
    };
    contents.incomplete = end.err();
    Ok(contents)
}
