//! The transform against the standard library, for every character and under every cut.

use super::*;
use proptest::prelude::*;

/// What the answer must be, told in the standard library's words.
fn expected(text: &[u8]) -> Vec<u8> {
    let mut upper = Vec::new();
    for chunk in text.utf8_chunks() {
        upper.extend_from_slice(chunk.valid().to_uppercase().as_bytes());
        upper.extend_from_slice(chunk.invalid());
    }
    upper
}

fn whole(text: &[u8]) -> BytesMut {
    let mut upper = BytesMut::from(text);
    uppercase(&mut upper);
    assert_eq!(uppercase_slice(&mut text.to_vec()), &upper[..], "in place");
    assert!(could_be_a_reply(&upper), "{upper:?}");
    upper
}

fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = UppercaseStream::default();
    let mut upper = Vec::new();
    for piece in pieces {
        upper.extend_from_slice(&stream.push(&mut piece.to_vec()));
    }
    upper.extend_from_slice(&stream.finish());
    upper
}

#[test]
fn every_character_becomes_what_std_makes_of_it_and_grows_three_times_at_most() {
    let mut most = 0.0_f64;
    for character in '\0'..=char::MAX {
        let text = character.to_string();
        let upper = whole(text.as_bytes());
        assert_eq!(upper, text.to_uppercase().as_bytes(), "U+{:04X}", u32::from(character));
        assert!(upper.len() <= MAX_GROWTH * text.len(), "U+{:04X}", u32::from(character));
        #[expect(clippy::cast_precision_loss, reason = "a dozen bytes")]
        let growth = upper.len() as f64 / text.len() as f64;
        most = most.max(growth);
        // What was upper-cased in part is upper-cased again by the kernel's caller.
        assert_eq!(whole(&upper), upper, "U+{:04X} twice", u32::from(character));
    }
    #[expect(clippy::cast_precision_loss, reason = "it is three")]
    let bound = MAX_GROWTH as f64;
    assert!((most - bound).abs() < f64::EPSILON, "the bound is reached, not just kept: {most}");
}

#[test]
fn every_character_at_every_place_of_a_block() {
    // One character of each kind of change, behind and before text of every length up to two blocks.
    for character in ["a", "é", "ß", "ŉ", "ΐ", "ж", "ﬀ", "ẖ", "ⱥ", "中", "🦀", "𐐨", "\u{10ffff}"]
    {
        for before in 0..140 {
            let text = format!("{}{character}{}", "x".repeat(before), "ö".repeat(70));
            assert_eq!(whole(text.as_bytes()), text.to_uppercase().as_bytes());
        }
    }
}

#[test]
fn text_full_of_changing_lengths_and_longer_than_any_run() {
    for text in ["ŉ", "ΐ", "ŉa", "ﬀé", "ŉ0123456789abcdefghijklmnopqrstuvwxyzé"] {
        let text = text.repeat(3000);
        assert_eq!(whole(text.as_bytes()), text.to_uppercase().as_bytes());
    }
    let text = format!("ŉ{}", "жé中🦀a".repeat(5000));
    assert_eq!(whole(text.as_bytes()), text.to_uppercase().as_bytes());
}

#[test]
fn bytes_that_are_no_text_pass_unchanged() {
    for text in [
        &b"\xff\xfe"[..],
        b"a\x80b",
        b"\xc1\xa1",         // An overlong `a`.
        b"\xe0\x83\xa9",     // An overlong `é`.
        b"\xf0\x83\x83\xa9", // And a longer one.
        b"\xed\xa0\x80",     // A surrogate.
        b"\xf4\x90\x80\x80", // Beyond U+10FFFF.
        b"\xf8\x90\x80\x80\x80",
        b"\xe1\xba",     // Cut short.
        b"\xf0\xc3\xa9", // Cut short by a whole character, which counts.
        b"\xc3\xc3\xa9",
        b"\xe2\x82a",
    ] {
        assert_eq!(whole(text), expected(text), "{text:x?}");
    }
}

#[test]
fn a_cut_between_any_two_bytes_changes_nothing() {
    let text = "straße ŉ ΐ жук ﬀ 中文 🦀 𐐨".as_bytes();
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let pieces = [&text[..first], &text[first..second], &text[second..]];
            assert_eq!(in_pieces(pieces), expected(text), "cut at {first} and {second}");
        }
    }
}

/// Bytes that are mostly text, of all kinds of change, with some that are not.
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

proptest! {
    #[test]
    fn any_bytes_become_what_std_makes_of_them(text in bytes_like_text()) {
        let upper = whole(&text);
        prop_assert!(upper.len() <= MAX_GROWTH * text.len());
        prop_assert_eq!(&upper[..], expected(&text));
    }

    #[test]
    fn a_stream_cut_anywhere_gives_what_the_whole_gives(
        text in bytes_like_text(),
        cuts in proptest::collection::vec(1_usize..90, 1..60),
    ) {
        let mut pieces = Vec::new();
        let mut rest = &text[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(in_pieces(pieces), expected(&text));
    }
}
