//! The conversion from one buffer to another, for text with characters that change their length.
//!
//! The conversion reads each byte once, and it never moves converted bytes. It processes one block at a time. A
//! bit mask marks the first byte of each character that can change. For each set bit, the conversion writes two
//! items: the unchanged bytes before the character, and the upper case of the character from [`table`].
//!
//! Each item is written with a fixed size, because a copy of a variable length takes more time. The next item
//! overwrites the excess bytes. So the work for a byte has a bound, and the bound is the same for every text.

use super::MAX_GROWTH;
use super::block::{ASCII_RUN, BLOCK, leading_bytes, uppercase_ascii_to};
use super::table;

/// Number of unchanged bytes that are copied at once. It is the size of a vector register of every 64-bit
/// processor.
const STEP: usize = 16;

/// A block, and the bytes after it that the conversion can read: the other bytes of a character that begins in the
/// last byte of the block, or the excess bytes of a copy.
const WINDOW: usize = BLOCK + STEP;

/// The bytes that the conversion of one block can write: a power of two that is at least [`MAX_GROWTH`] times the
/// length of a block and of its last character.
const BLOCK_OUTPUT: usize = 256;

/// The output of a block, and the excess bytes of its last item.
const OUTPUT_WINDOW: usize = BLOCK_OUTPUT + STEP;

/// Returns `converted`, followed by the upper case of `text`.
///
/// The capacity of the result is at most the length of `converted`, [`MAX_GROWTH`] times the length of `text`, and
/// [`OUTPUT_WINDOW`].
pub(super) fn append(converted: &[u8], text: &[u8]) -> Vec<u8> {
    // In most texts, few characters grow, and this capacity is sufficient.
    let likely = text.len() + text.len() / 8 + max_output(ASCII_RUN);
    let mut upper = Vec::new();
    upper.reserve_exact(converted.len() + likely.min(max_output(text.len())));
    upper.extend_from_slice(converted);
    let (mut read, mut written) = (0, upper.len());
    while read < text.len() {
        let rest = &text[read..];
        let needed = written + max_output(rest.len().min(ASCII_RUN + WINDOW));
        if needed > upper.capacity() {
            upper.reserve_exact(written + max_output(rest.len()) - upper.len());
        }
        if needed > upper.len() {
            upper.resize(needed, 0);
        }
        let output = &mut upper[written..];
        let progress = append_ascii(rest, output).unwrap_or_else(|| append_blocks(rest, output));
        read += progress.read;
        written += progress.written;
    }
    upper.truncate(written);
    upper
}

/// Maximum number of bytes that the conversion writes for `length` bytes.
const fn max_output(length: usize) -> usize {
    MAX_GROWTH * length + OUTPUT_WINDOW
}

/// Number of bytes that a part of the conversion has read and written.
struct Progress {
    read: usize,
    written: usize,
}

/// Converts [`ASCII_RUN`] bytes. Returns `None` if they are not ASCII.
fn append_ascii(text: &[u8], output: &mut [u8]) -> Option<Progress> {
    let (text, output) = (text.first_chunk()?, output.first_chunk_mut()?);
    count_work(ASCII_RUN);
    uppercase_ascii_to::<ASCII_RUN>(text, output)
        .then_some(Progress { read: ASCII_RUN, written: ASCII_RUN })
}

/// Converts blocks until it has converted [`ASCII_RUN`] bytes or the complete text.
fn append_blocks(text: &[u8], output: &mut [u8]) -> Progress {
    let end = text.len().min(ASCII_RUN);
    let mut progress = Progress { read: 0, written: 0 };
    while progress.read < end {
        let text = &text[progress.read..];
        let Some(output) = output[progress.written..].first_chunk_mut() else { break };
        let block = if let Some(window) = text.first_chunk() {
            append_block(window, BLOCK, output)
        } else {
            // The last bytes, followed by zeros. A zero is not a continuation byte, so an incomplete character
            // stays unchanged.
            let mut window = [0; WINDOW];
            window[..text.len()].copy_from_slice(text);
            append_block(&window, text.len().min(BLOCK), output)
        };
        progress.read += block.read;
        progress.written += block.written;
    }
    progress
}

/// Converts the characters that begin in the first `length` bytes of `window`. The bytes after `length` are zeros
/// if `length` is not [`BLOCK`].
#[inline]
fn append_block(
    window: &[u8; WINDOW],
    length: usize,
    output: &mut [u8; OUTPUT_WINDOW],
) -> Progress {
    count_work(WINDOW);
    let mut text = [0; WINDOW];
    uppercase_ascii_to(window, &mut text);
    let mut progress = Progress { read: 0, written: 0 };
    let mut mask = window.first_chunk().map_or(0, leading_bytes);
    while mask != 0 {
        let position = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let Progress { read, written } = append_unchanged(&text, position, output, progress);
        let upper = table::upper(u32::from_le_bytes(bytes(&text, position)));
        write(output, written, upper.bytes.to_le_bytes());
        progress = Progress { read: read + upper.read, written: written + upper.written };
    }
    // The last character can extend beyond the block.
    if progress.read < length {
        progress = append_unchanged(&text, length, output, progress);
    }
    progress
}

/// Copies `text` from the position `read` to the position `end`.
#[inline]
fn append_unchanged(
    text: &[u8; WINDOW],
    end: usize,
    output: &mut [u8; OUTPUT_WINDOW],
    Progress { mut read, mut written }: Progress,
) -> Progress {
    loop {
        // This copies excess bytes even if `read` is `end`. A check would take more time than the copy: in many
        // texts, the processor cannot predict which characters follow each other directly.
        write::<STEP>(output, written, bytes(text, read));
        let rest = end - read;
        if rest <= STEP {
            return Progress { read: end, written: written + rest };
        }
        read += STEP;
        written += STEP;
    }
}

/// The bytes of `window` from `start` on. `start` is less than [`BLOCK`]. The remainder makes this visible to the
/// compiler, so it generates no check.
#[inline]
fn bytes<const LEN: usize>(window: &[u8; WINDOW], start: usize) -> [u8; LEN] {
    window[start % BLOCK..].first_chunk().copied().unwrap_or([0; LEN])
}

/// Writes `bytes` to `output` at the position `start`, which is less than [`BLOCK_OUTPUT`].
#[inline]
fn write<const LEN: usize>(output: &mut [u8; OUTPUT_WINDOW], start: usize, bytes: [u8; LEN]) {
    count_work(LEN);
    if let Some(output) = output[start % BLOCK_OUTPUT..].first_chunk_mut() {
        *output = bytes;
    }
}

#[cfg(test)]
thread_local! {
    /// Number of bytes that this thread has processed, for the test of the bound.
    pub(super) static WORK: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts processed bytes in tests.
#[inline]
fn count_work(bytes: usize) {
    #[cfg(test)]
    WORK.set(WORK.get() + bytes);
    #[cfg(not(test))]
    let _ = bytes;
}
