//! Whether a reply is what it must be. Pure: bytes in, judgement out.

/// What the bytes of a reply are, against what they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole reply, and nothing else.
    Whole,
    /// A proper beginning of the reply.
    Begun,
    /// Something else; the text says what.
    Wrong(String),
}

/// Judges what has `arrived` so far of a reply that must be `expected`; the first `judged` bytes of it
/// have been found in order before.
///
/// # Panics
///
/// If more bytes are said to be judged than there are.
pub(crate) fn verify(arrived: &[u8], judged: usize, expected: &[u8]) -> Verdict {
    let pairs = arrived[judged..].iter().zip(&expected[judged..]);
    let common = judged + pairs.take_while(|(a, b)| a == b).count();
    if common < arrived.len().min(expected.len()) {
        Verdict::Wrong(format!("it differs from byte {} on", common + 1))
    } else if arrived.len() > expected.len() {
        let more = arrived.len() - expected.len();
        Verdict::Wrong(format!("{more} bytes more than the reply's {}", expected.len()))
    } else if arrived.len() < expected.len() {
        Verdict::Begun
    } else {
        Verdict::Whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_judged_as_they_come() {
        assert_eq!(verify(b"HELLO", 0, b"HELLO"), Verdict::Whole);
        assert_eq!(verify(b"", 0, b""), Verdict::Whole);
        assert_eq!(verify(b"HEL", 0, b"HELLO"), Verdict::Begun);
        assert_eq!(verify(b"", 0, b"HELLO"), Verdict::Begun);
        let Verdict::Wrong(why) = verify(b"Hello", 0, b"HELLO") else { panic!() };
        assert!(why.contains("byte 2"), "{why}");
        let Verdict::Wrong(why) = verify(b"HELLO!!", 0, b"HELLO") else { panic!() };
        assert!(why.contains("2 bytes more"), "{why}");
        // The second piece of a reply that came in two.
        assert_eq!(verify(b"HELLO", 3, b"HELLO"), Verdict::Whole);
        let Verdict::Wrong(why) = verify(b"HELlo", 3, b"HELLO") else { panic!() };
        assert!(why.contains("byte 4"), "{why}");
    }
}
