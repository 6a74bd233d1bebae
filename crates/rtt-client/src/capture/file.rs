//! Capture files: pcapng, written and read, and the older pcap, read
//! (draft-ietf-opsawg-pcapng, draft-ietf-opsawg-pcap).
//!
//! What is read may be anybody's: nothing in it is believed before it has been checked, nothing of it makes
//! the program take more memory than the bounds here allow, and where it breaks off, what came before that is
//! kept and the break is told. This is ours because the libraries that there are either trust lengths or
//! leave out comments.

mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

pub(crate) use pcapng::Writer;

use std::io::{self, Read};
use std::time::Duration;

/// The longest packet that is read, in bytes: four times the longest that IP has.
pub(crate) const LONGEST_PACKET: usize = 256 * 1024;

/// The most packets that are read or captured.
pub(crate) const MAX_PACKETS: usize = 100_000;

/// The most bytes of packets that are kept. They are held up to four times: as captured, dissected, explained,
/// and the latest in upper case.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The longest block of a file, in bytes: the longest packet, its options, and what nobody needs.
const LONGEST_BLOCK: usize = LONGEST_PACKET + 1024 * 1024;

/// The most interfaces that a file describes.
const MOST_INTERFACES: usize = 1024;

/// A packet as it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturedPacket {
    /// Since the beginning of 1970.
    pub(crate) time: Duration,
    /// How long it was, in bytes.
    pub(crate) original: usize,
    /// What of it was captured.
    pub(crate) bytes: Vec<u8>,
    /// What it begins with.
    pub(crate) link: LinkType,
    /// Which of the file's interfaces it was captured on, from 0.
    pub(crate) interface: usize,
}

/// What a captured packet begins with (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkType {
    Ethernet,
    /// BSD's loopback: four bytes of address family, in the byte order of the host, or of the network.
    Null,
    /// IP itself.
    Raw,
    /// Linux cooked captures, and their second version.
    Cooked,
    Cooked2,
    Other(u32),
}

impl LinkType {
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

    fn of(number: u32) -> Self {
        match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            // IP on BSDs, IPv4 alone, IPv6 alone.
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            other => Self::Other(other),
        }
    }
}

/// What a file has.
#[derive(Debug, Default)]
pub(crate) struct FileContents {
    pub(crate) packets: Vec<CapturedPacket>,
    /// Packets that the capturing program says it had no room for, if it says.
    pub(crate) lost: Option<u64>,
    /// Packets that have no time.
    pub(crate) untimed: u64,
    /// Why reading ended before the file did, if it did.
    pub(crate) broken: Option<String>,
    bytes: usize,
}

/// Why a file can't be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("reading it: {0}")]
    Read(#[from] io::Error),
    #[error("it is neither pcapng nor pcap")]
    Unknown,
}

/// Reads a file of either kind.
pub(crate) fn read(mut file: impl Read) -> Result<FileContents, FileError> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FileError::Unknown,
        _ => FileError::Read(error),
    })?;
    let mut contents = FileContents::default();
    let end = match magic {
        pcapng::SECTION => pcapng::read(&mut file, &mut contents),
        magic => match pcap::Kind::of(magic) {
            Some(kind) => pcap::read(&mut file, kind, &mut contents),
            None => return Err(FileError::Unknown),
        },
    };
    contents.broken = end.err();
    Ok(contents)
}

impl FileContents {
    /// Keeps a packet; an error if there is no room for more.
    fn keep(&mut self, packet: CapturedPacket) -> Result<(), String> {
        self.bytes += packet.bytes.len();
        if self.packets.len() >= MAX_PACKETS || self.bytes > MAX_BYTES {
            return Err(format!("only the first {} packets are read", self.packets.len()));
        }
        self.packets.push(packet);
        Ok(())
    }
}

/// The byte order of a file: that of the host that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    fn length(self, bytes: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.u32(bytes, at)?).ok()
    }
}

/// Reads exactly so many bytes; nothing at the end of the file. It takes no more memory than there is file,
/// whatever a length claims.
fn piece(file: &mut dyn Read, length: usize) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    let taken = file
        .take(length as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("reading: {error}"))?;
    match taken {
        0 if length > 0 => Ok(None),
        _ if taken == length => Ok(Some(bytes)),
        _ => Err(format!("it breaks off: {taken} of {length} bytes are there")),
    }
}
