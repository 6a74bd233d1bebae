//! Reads bytes and integers from a capture file, with every length checked.

use super::Incomplete;
use std::io::Read;

/// The byte order of the integers in a file. It is the order of the host that wrote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The 16-bit integer at `offset`, or `None` if `bytes` ends before it.
    pub(super) fn u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let bytes = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }

    /// The 32-bit integer at `offset`.
    pub(super) fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let bytes = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    /// The 64-bit integer at `offset`.
    pub(super) fn u64(self, bytes: &[u8], offset: usize) -> Option<u64> {
        let bytes = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        })
    }

    /// The 32-bit length or index at `offset`.
    pub(super) fn length(self, bytes: &[u8], offset: usize) -> Option<usize> {
        usize::try_from(self.u32(bytes, offset)?).ok()
    }

    pub(super) fn u32_to_bytes(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}

/// Reads exactly `length` bytes, or `None` at the end of the file.
///
/// The memory grows with the bytes that the file really has, so a large `length` alone allocates nothing.
pub(super) fn read_bytes(
    file: &mut dyn Read,
    length: usize,
) -> Result<Option<Vec<u8>>, Incomplete> {
    let mut bytes = Vec::new();
    let received = file.take(length as u64).read_to_end(&mut bytes).map_err(Incomplete::Read)?;
    match received {
        0 if length > 0 => Ok(None),
        _ if received == length => Ok(Some(bytes)),
        _ => Err(Incomplete::EndsEarly { expected: length, received }),
    }
}

/// Reads exactly `length` bytes of `part`. The end of the file is an error.
pub(super) fn require_bytes(
    file: &mut dyn Read,
    length: usize,
    part: &'static str,
) -> Result<Vec<u8>, Incomplete> {
    read_bytes(file, length)?.ok_or(Incomplete::EndsWithin(part))
}
