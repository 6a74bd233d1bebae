//! The inner loop of the transform: upper case in place, as long as no character changes its length.
//!
//! ASCII letters are changed by arithmetic that the compiler turns into vector instructions, whole
//! blocks at once; bytes of other characters do not answer to it. Then a bit mask of the bytes that
//! begin such a character is walked, and each is changed by the exclusive-or that [`table`] holds for
//! it. Walking a mask, instead of the text, keeps the steps independent of each other: no step waits
//! for the length of the character before it.

use super::table::{self, Change};

/// How many bytes one mask stands for.
const BLOCK: usize = 64;

/// A block, and as much beyond it as a character that begins in its last byte can take.
const WINDOW: usize = BLOCK + 3;

/// How much is tested for being ASCII at once: long enough that the test's own cost vanishes.
const ASCII_RUN: usize = 512;

/// Upper-cases `text` in place up to the first character whose upper case has another length.
/// Returns where that is, or the length of `text`. What lies behind may have been upper-cased in part,
/// which does no harm: doing it again changes nothing.
pub(super) fn uppercase_until_length_changes(text: &mut [u8]) -> usize {
    let mut at = 0;
    while at < text.len() {
        if let Some(run) = text[at..].first_chunk_mut::<ASCII_RUN>()
            && uppercase_ascii(run)
        {
            at += ASCII_RUN;
            continue;
        }
        let end = text.len().min(at + ASCII_RUN);
        while at < end {
            let stop = if let Some(window) = text[at..].first_chunk_mut::<WINDOW>() {
                block(window)
            } else {
                // The last bytes, with zeros behind them, which no character goes on with.
                let rest = &mut text[at..];
                let mut window = [0; WINDOW];
                window[..rest.len()].copy_from_slice(rest);
                let stop = block(&mut window);
                rest.copy_from_slice(&window[..rest.len()]);
                stop
            };
            match stop {
                Some(offset) => return at + offset,
                None => at += BLOCK,
            }
        }
    }
    text.len()
}

/// Upper-cases the ASCII letters; returns whether there was nothing else.
#[inline]
fn uppercase_ascii(text: &mut [u8]) -> bool {
    /// What makes the last small letter the largest signed number: one comparison then finds all 26.
    const TO_THE_TOP: u8 = 0x7F - b'z';
    let mut all = 0;
    for byte in text {
        all |= *byte;
        let is_small = byte.wrapping_add(TO_THE_TOP).cast_signed() > 0x7F - 26;
        *byte ^= u8::from(is_small) << 5;
    }
    all < 0x80
}

/// Upper-cases the characters that begin in the first [`BLOCK`] bytes; returns where the first one
/// begins whose upper case has another length, if there is one.
#[inline]
fn block(window: &mut [u8; WINDOW]) -> Option<usize> {
    uppercase_ascii(&mut window[..BLOCK]);
    let mut leads = leading_bytes(window);
    while leads != 0 {
        let at = leads.trailing_zeros() as usize;
        leads &= leads - 1;
        // No more is loaded or stored than the character itself, where it can be helped: a load that
        // overlaps the store before it waits until that store has left the processor's buffer.
        let two = window[at..].first_chunk_mut()?;
        let bytes = u16::from_le_bytes(*two);
        if bytes & 0xFF < 0xE0 {
            match table::change_of_two(bytes) {
                Change::Bytes(difference) => *two = (bytes ^ difference).to_le_bytes(),
                Change::Length => return Some(at),
            }
        } else {
            let four = window[at..].first_chunk_mut()?;
            let bytes = u32::from_le_bytes(*four);
            match table::change_of_more(bytes) {
                Change::Bytes(0) => {}
                Change::Bytes(difference) => *four = (bytes ^ difference).to_le_bytes(),
                Change::Length => return Some(at),
            }
        }
    }
    None
}

/// A bit for each byte of the block, set where it begins a character that can change.
#[inline]
fn leading_bytes(window: &[u8; WINDOW]) -> u64 {
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(window) {
        *flag = u8::from(table::can_change(*byte));
    }
    let mut mask = 0;
    for (place, word) in flags.as_chunks::<8>().0.iter().enumerate() {
        // The multiplication gathers the eight bits, one a byte, in the top byte.
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * place);
    }
    mask
}
