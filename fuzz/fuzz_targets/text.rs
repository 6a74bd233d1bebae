//! Converts random bytes, as one text and in pieces, and compares the results with those of the standard
//! library. Also parses the bytes as a timing header.
//!
//! Run it with `cargo +nightly fuzz run text`.
#![no_main]

use echo_core::header::{self, version2};
use echo_core::{MAX_GROWTH, UppercaseStream, uppercase_slice};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (text, cuts) = input;
    let mut expected = Vec::new();
    for chunk in text.utf8_chunks() {
        expected.extend_from_slice(chunk.valid().to_uppercase().as_bytes());
        expected.extend_from_slice(chunk.invalid());
    }
    assert!(expected.len() <= MAX_GROWTH * text.len());
    assert_eq!(uppercase_slice(&mut text.clone()), &expected[..]);

    let mut stream = UppercaseStream::default();
    let mut upper = Vec::new();
    let mut rest = &text[..];
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut));
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(cuts.next().unwrap_or(usize::MAX).min(rest.len()));
        upper.extend_from_slice(&stream.push(&mut piece.to_vec()));
        rest = after;
    }
    upper.extend_from_slice(&stream.finish());
    assert_eq!(upper, expected);

    if let Some(length) = header::timed_request_length(&text) {
        assert_eq!(header::request_header(length), text[..header::HEADER_LEN]);
    }
    if let Some(first) = text.first_chunk()
        && let header::ReplyHeader::Timed(timing) = header::parse_reply_header(first, text.len())
    {
        assert_eq!(header::reply_header(text.len(), timing), *first);
    }

    if let Some(version2::RequestHeader { length, requested, run, .. }) =
        version2::parse_request(&text)
    {
        let header = version2::request_header(length, requested, run);
        assert_eq!(header, text[..version2::HEADER_LEN]);
    }
    if let Some(first) = text.first_chunk()
        && let version2::ReplyHeader::Report(report) =
            version2::parse_reply_header(first, text.len())
    {
        assert_eq!(version2::reply_header(text.len(), &report), *first);
    }
});
