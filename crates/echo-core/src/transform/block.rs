//! The parts of both conversions that process one block of bytes with vector instructions: the upper case of
//! ASCII letters, and the positions of the characters that can change.

use super::table;

/// Number of bytes in a block: one for each bit of a mask.
pub(super) const BLOCK: usize = 64;

/// Number of bytes that a conversion checks for ASCII at once. With a smaller number, these checks would cost
/// noticeable time.
pub(super) const ASCII_RUN: usize = 512;

/// Converts the ASCII letters in place. Returns whether all bytes are ASCII.
#[inline]
pub(super) fn uppercase_ascii(text: &mut [u8]) -> bool {
    let mut all = 0;
    for byte in text {
        all |= *byte;
        *byte = ascii_upper(*byte);
    }
    all < 0x80
}

/// Copies `text` to `output` and converts the ASCII letters. Returns whether all bytes are ASCII. Both have the
/// same length.
#[inline]
pub(super) fn uppercase_ascii_to<const LEN: usize>(
    text: &[u8; LEN],
    output: &mut [u8; LEN],
) -> bool {
    let mut all = 0;
    for (byte, output) in text.iter().zip(output) {
        all |= *byte;
        *output = ascii_upper(*byte);
    }
    all < 0x80
}

/// The upper case of an ASCII letter. Other bytes stay unchanged. The compiler can turn this arithmetic into
/// vector instructions.
#[inline]
fn ascii_upper(byte: u8) -> u8 {
    /// The sum of `z` and this number is the largest signed byte. So one comparison detects all 26 letters.
    const SHIFT_Z_TO_MAX: u8 = 0x7F - b'z';
    let is_lowercase = byte.wrapping_add(SHIFT_Z_TO_MAX).cast_signed() > 0x7F - 26;
    byte ^ u8::from(is_lowercase) << 5
}

/// A mask with one bit for each byte of the block. A set bit marks a byte for which [`table::can_change`] is
/// true.
#[inline]
pub(super) fn leading_bytes(block: &[u8; BLOCK]) -> u64 {
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(table::can_change(*byte));
    }
    let mut mask = 0;
    for (index, word) in flags.as_chunks::<8>().0.iter().enumerate() {
        // The multiplication moves the lowest bit of each of the eight bytes into the top byte.
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * index);
    }
    mask
}
