//! Compares the conversion with the standard library, for every character, and for streams that are cut at
//! many positions.

use super::*;
use proptest::prelude::*;

/// The expected result, computed with the standard library.
fn expected(text: &[u8]) -> Vec<u8> {
    let mut upper = Vec::new();
    for chunk in text.utf8_chunks() {
        upper.extend_from_slice(chunk.valid().to_uppercase().as_bytes());
        upper.extend_from_slice(chunk.invalid());
    }
    upper
}

/// The result for a complete text. Checks that [`uppercase`] and [`uppercase_slice`] give the same result.
fn converted(text: &[u8]) -> BytesMut {
    let mut upper = BytesMut::from(text);
    uppercase(&mut upper);
    assert_eq!(uppercase_slice(&mut text.to_vec()), &upper[..], "in place");
    assert!(could_be_a_reply(&upper), "{upper:?}");
    upper
}

/// The result for a text that arrives in pieces.
fn converted_in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = UppercaseStream::default();
    let mut upper = Vec::new();
    for piece in pieces {
        upper.extend_from_slice(&stream.push(&mut piece.to_vec()));
    }
    upper.extend_from_slice(&stream.finish());
    upper
}

#[test]
fn every_character_has_the_upper_case_of_std() {
    let mut max_growth = 0.0_f64;
    for character in '\0'..=char::MAX {
        let text = character.to_string();
        let upper = converted(text.as_bytes());
        assert_eq!(upper, text.to_uppercase().as_bytes(), "U+{:04X}", u32::from(character));
        assert!(upper.len() <= MAX_GROWTH * text.len(), "U+{:04X}", u32::from(character));
        #[expect(clippy::cast_precision_loss, reason = "at most a dozen bytes")]
        let growth = upper.len() as f64 / text.len() as f64;
        max_growth = max_growth.max(growth);
        // `append` converts bytes again that `in_place` has already converted.
        assert_eq!(converted(&upper), upper, "U+{:04X} twice", u32::from(character));
    }
    #[expect(clippy::cast_precision_loss, reason = "the value is three")]
    let bound = MAX_GROWTH as f64;
    assert!(
        (max_growth - bound).abs() < f64::EPSILON,
        "no character has the growth MAX_GROWTH: {max_growth}"
    );
}

#[test]
fn characters_are_converted_at_every_position_of_a_block() {
    // One character for each kind of change. The text before the character has every length from 0 to more
    // than two blocks.
    for character in ["a", "é", "ß", "ŉ", "ΐ", "ж", "ﬀ", "ẖ", "ⱥ", "中", "🦀", "𐐨", "\u{10ffff}"]
    {
        for before in 0..140 {
            let text = format!("{}{character}{}", "x".repeat(before), "ö".repeat(70));
            assert_eq!(converted(text.as_bytes()), text.to_uppercase().as_bytes());
        }
    }
}

#[test]
fn long_text_with_many_length_changes_is_converted() {
    for text in ["ŉ", "ΐ", "ŉa", "ﬀé", "ŉ0123456789abcdefghijklmnopqrstuvwxyzé"] {
        let text = text.repeat(3000);
        assert_eq!(converted(text.as_bytes()), text.to_uppercase().as_bytes());
    }
    let text = format!("ŉ{}", "жé中🦀a".repeat(5000));
    assert_eq!(converted(text.as_bytes()), text.to_uppercase().as_bytes());
}

/// All characters whose upper case has another number of bytes.
fn resized_characters() -> Vec<char> {
    let upper_len = |character: &char| character.to_uppercase().map(char::len_utf8).sum::<usize>();
    ('\0'..=char::MAX).filter(|character| upper_len(character) != character.len_utf8()).collect()
}

#[test]
fn length_changes_at_every_distance_are_converted() {
    for character in resized_characters() {
        for distance in 0..=100 {
            let text =
                format!("{character}{}", "q".repeat(distance)).repeat(200 / (distance + 1) + 2);
            assert_eq!(
                converted(text.as_bytes()),
                text.to_uppercase().as_bytes(),
                "U+{:04X}, distance {distance}",
                u32::from(character)
            );
        }
    }
}

/// The number of bytes that [`append`] processes for one byte of `text`.
fn work_for_a_byte(text: &[u8]) -> usize {
    append::WORK.set(0);
    assert_eq!(append::append(&[], text), expected(text));
    append::WORK.get().div_ceil(text.len())
}

#[test]
fn work_for_a_byte_has_a_bound_for_every_text() {
    /// An item of 16 unchanged bytes and an item of 8 bytes for each byte of text, and three bytes for each pass
    /// over a block. A text reaches the bound only if all its bytes are invalid.
    const MAX_WORK: usize = 16 + 8 + 3;
    const LEN: usize = 20_000;
    let mut patterns: Vec<Vec<u8>> = Vec::new();
    for character in resized_characters() {
        for distance in [0, 1, 2, 15, 16, 17, 63, 64, 65, 511, 512, 513] {
            patterns.push(format!("{character}{}", "q".repeat(distance)).into_bytes());
        }
    }
    patterns
        .extend([&b"\xc3"[..], b"\xf0", b"a", "ж".as_bytes(), "中".as_bytes()].map(<[u8]>::to_vec));
    for pattern in patterns {
        let text = pattern.repeat(LEN / pattern.len());
        let work = work_for_a_byte(&text);
        assert!(work <= MAX_WORK, "{work} for {:?}", pattern.escape_ascii().to_string());
    }
    // Twice the text takes twice the work, so the work for a byte is the same.
    let (short, long) = ("ΐ".repeat(LEN), "ΐ".repeat(2 * LEN));
    assert_eq!(work_for_a_byte(short.as_bytes()), work_for_a_byte(long.as_bytes()));
}

#[test]
fn memory_of_the_result_has_a_bound() {
    for character in resized_characters() {
        for count in [1, 2, 50, 1000, 30_000] {
            let mut text = character.to_string().repeat(count).into_bytes();
            let bound = MAX_GROWTH * text.len() + 512;
            let Cow::Owned(upper) = uppercase_slice(&mut text) else {
                panic!("U+{:04X} changes its length", u32::from(character));
            };
            assert!(upper.capacity() <= bound, "{} bytes, not {bound}", upper.capacity());
        }
    }
}

#[test]
fn invalid_utf8_stays_unchanged() {
    for text in [
        &b"\xff\xfe"[..],
        b"a\x80b",
        b"\xc1\xa1",         // An overlong `a`.
        b"\xe0\x83\xa9",     // An overlong `é`.
        b"\xf0\x83\x83\xa9", // A longer overlong form.
        b"\xed\xa0\x80",     // A surrogate.
        b"\xf4\x90\x80\x80", // Beyond U+10FFFF.
        b"\xf8\x90\x80\x80\x80",
        b"\xe1\xba",     // Incomplete.
        b"\xf0\xc3\xa9", // Incomplete, followed by a complete character.
        b"\xc3\xc3\xa9",
        b"\xe2\x82a",
    ] {
        assert_eq!(converted(text), expected(text), "{text:x?}");
    }
}

#[test]
fn result_of_a_stream_does_not_depend_on_the_cut_positions() {
    let text = "straße ŉ ΐ жук ﬀ 中文 🦀 𐐨".as_bytes();
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let pieces = [&text[..first], &text[first..second], &text[second..]];
            assert_eq!(converted_in_pieces(pieces), expected(text), "cut at {first} and {second}");
        }
    }
}

/// Generates text with every kind of change, mixed with some invalid bytes.
fn bytes_like_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-zA-Z ]{1,40}".prop_map(String::into_bytes),
        4 => "[à-þα-ωа-я中-丸ﬀ-ﬆΐŉßẖⱥᾳ🦀𐐨]{1,20}".prop_map(String::into_bytes),
        2 => any::<String>().prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => proptest::collection::vec(0x80_u8.., 0..12),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Generates text of characters that change their length, alone or mixed with other characters.
fn text_with_length_changes() -> impl Strategy<Value = String> {
    let resized = proptest::sample::select(resized_characters());
    let character = prop_oneof![
        4 => resized,
        1 => proptest::char::range('a', 'z'),
        1 => any::<char>(),
    ];
    let piece = (proptest::collection::vec(character, 1..30), 1_usize..20)
        .prop_map(|(characters, count)| String::from_iter(characters).repeat(count));
    proptest::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn text_with_length_changes_has_the_upper_case_of_std(text in text_with_length_changes()) {
        prop_assert_eq!(converted(text.as_bytes()), text.to_uppercase().into_bytes());
    }

    #[test]
    fn any_bytes_have_the_upper_case_of_std(text in bytes_like_text()) {
        let upper = converted(&text);
        prop_assert!(upper.len() <= MAX_GROWTH * text.len());
        prop_assert_eq!(&upper[..], expected(&text));
    }

    #[test]
    fn stream_with_random_cuts_equals_the_complete_text(
        text in bytes_like_text(),
        cuts in proptest::collection::vec(1_usize..90, 1..60),
    ) {
        let mut pieces = Vec::new();
        let mut rest = &text[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, remaining) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = remaining;
        }
        prop_assert_eq!(converted_in_pieces(pieces), expected(&text));
    }
}
