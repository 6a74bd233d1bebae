//! The timing header. A client uses it to request the server's processing time. The server reports this time
//! in the header of its reply. This module contains version 1 of the header, and [`version2`] contains version 2.
//! [`Request`] is the header of a request of either version.
//!
//! `docs/protocol.md` specifies the bytes. The header is ASCII text. A server that does not support the header
//! converts it to upper case like any text, and the client recognises this reply. The headers of request and
//! reply have the same length, so the header cannot be used for amplification.
//!
//! ```
//! use echo_core::header::{self, ArrivalClock, HEADER_LEN, ReplyHeader, Timing};
//! use std::time::Duration;
//!
//! // The client sends a message of 64 bytes that begins with the header.
//! let mut message = header::request_header(64).to_vec();
//! message.resize(64, b'x');
//! assert_eq!(header::timed_request_length(&message), Some(64));
//!
//! // The server replaces the header before it sends the reply.
//! let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_micros(37) };
//! message.make_ascii_uppercase();
//! message[..HEADER_LEN].copy_from_slice(&header::reply_header(64, timing));
//!
//! // The client reads the time from the reply.
//! let reply_header = message.first_chunk().unwrap();
//! assert_eq!(header::parse_reply_header(reply_header, 64), ReplyHeader::Timed(timing));
//! ```

mod hex;
pub mod version2;

use std::time::Duration;

/// Length of the header in bytes, in a request and in a reply.
pub const HEADER_LEN: usize = 40;

/// Maximum length in bytes of a message that begins with a header, including the header. The limit applies to
/// TCP too, because a server must store a complete message before it answers.
pub const MAX_TIMED_LEN: usize = crate::MAX_UDP_PAYLOAD_IPV4;

/// The first bytes of a request with a header of any version.
const COMMON_MAGIC: &[u8; 9] = b"echo-rtt/";
const REQUEST_MAGIC: &[u8; 11] = b"echo-rtt/1?";
const REPLY_MAGIC: &[u8; 11] = b"ECHO-RTT/1!";
/// The first bytes of the reply if the server does not support the header.
const UPPERCASED_REQUEST_MAGIC: &[u8; 11] = b"ECHO-RTT/1?";

/// The header at the beginning of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Version 1. It contains only the length of the whole request in bytes, header included.
    Version1 {
        /// The length.
        length: usize,
    },
    /// Version 2.
    Version2(version2::RequestHeader),
}

/// The kind of data at the beginning of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStart {
    /// The header of a request. The rest of the request can be missing.
    Header(Request),
    /// The header can become valid when more bytes arrive.
    Incomplete,
    /// No valid header.
    Malformed,
}

impl Request {
    /// Parses the header at the beginning of `text`. Returns `None` if there is no complete and valid header.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        // Most texts have no header. This comparison rejects them in the least time.
        if !text.starts_with(COMMON_MAGIC) {
            return None;
        }
        if let Some(length) = timed_request_length(text) {
            return Some(Self::Version1 { length });
        }
        version2::parse_request(text).map(Self::Version2)
    }

    /// Parses the header at the beginning of a stream. `text` contains the bytes that have arrived.
    #[must_use]
    pub fn at_start(text: &[u8]) -> RequestStart {
        if let Some(request) = Self::parse(text) {
            return RequestStart::Header(request);
        }
        let is_incomplete = text.len() < HEADER_LEN
            || (text.len() < version2::MIN_LEN && version2::could_be_request(text));
        if is_incomplete { RequestStart::Incomplete } else { RequestStart::Malformed }
    }

    /// Parses a datagram. Returns `None` if it does not begin with a header, or if the header states another length.
    #[must_use]
    pub fn of_datagram(datagram: &[u8]) -> Option<Self> {
        Self::parse(datagram).filter(|request| request.length() == datagram.len())
    }

    /// The length of the whole request in bytes, header included.
    #[must_use]
    pub fn length(&self) -> usize {
        match self {
            Self::Version1 { length } => *length,
            Self::Version2(header) => header.length,
        }
    }

    /// Whether the request needs the kernel's timestamp of its arrival.
    #[must_use]
    pub fn needs_timestamps(&self) -> bool {
        match self {
            Self::Version1 { .. } => true,
            Self::Version2(header) => header.requested == version2::Requested::CountsAndTimestamps,
        }
    }
}

/// The time that a server reports in the header of its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Which clock measured the arrival of the request.
    pub arrival: ArrivalClock,
    /// The time from the arrival of the request until the server wrote this header, shortly before it sent
    /// the reply. The header contains this time in nanoseconds.
    pub server: Duration,
}

/// Which clock measured the arrival of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrivalClock {
    /// The server's kernel timestamped the packet.
    Kernel,
    /// The server's program read the clock after it received the request. The time does not include the wait
    /// of the request in the kernel.
    Program,
}

/// The kind of header at the beginning of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyHeader {
    /// A header with a time.
    Timed(Timing),
    /// The header of the request in upper case: the server does not support timing.
    Plain,
    /// An invalid header, or other bytes.
    Malformed,
}

/// Builds the header of a request. `length` is the length of the whole request in bytes, header included.
///
/// # Panics
///
/// If `length` is less than [`HEADER_LEN`] or more than [`MAX_TIMED_LEN`].
#[must_use]
pub fn request_header(length: usize) -> [u8; HEADER_LEN] {
    assert!(
        (HEADER_LEN..=MAX_TIMED_LEN).contains(&length),
        "a timed request has {HEADER_LEN} to {MAX_TIMED_LEN} bytes, not {length}"
    );
    header(REQUEST_MAGIC, length, b'0', 0)
}

/// Returns the length of the request at the beginning of `text` in bytes, header included. Returns `None` if
/// `text` does not begin with a complete and valid header of a request.
#[must_use]
pub fn timed_request_length(text: &[u8]) -> Option<usize> {
    let header: &[u8; HEADER_LEN] = text.first_chunk()?;
    let length = parse_digits(&header[11..19])?;
    let length = usize::try_from(length).ok()?;
    let is_valid =
        (HEADER_LEN..=MAX_TIMED_LEN).contains(&length) && *header == request_header(length);
    is_valid.then_some(length)
}

/// Builds the header of a reply. `length` is the length of the whole reply in bytes, header included.
#[must_use]
pub fn reply_header(length: usize, timing: Timing) -> [u8; HEADER_LEN] {
    let clock = match timing.arrival {
        ArrivalClock::Kernel => b'K',
        ArrivalClock::Program => b'P',
    };
    let nanoseconds = u64::try_from(timing.server.as_nanos()).unwrap_or(u64::MAX);
    header(REPLY_MAGIC, length, clock, nanoseconds.min(MAX_NANOSECONDS))
}

/// Parses the header of a reply. `length` is the length of the whole reply in bytes, header included.
#[must_use]
pub fn parse_reply_header(header: &[u8; HEADER_LEN], length: usize) -> ReplyHeader {
    if header.starts_with(UPPERCASED_REQUEST_MAGIC) {
        return ReplyHeader::Plain;
    }
    let arrival = match header[20] {
        b'K' => ArrivalClock::Kernel,
        b'P' => ArrivalClock::Program,
        _ => return ReplyHeader::Malformed,
    };
    let Some(nanoseconds) = parse_digits(&header[21..39]) else { return ReplyHeader::Malformed };
    let timing = Timing { arrival, server: Duration::from_nanos(nanoseconds) };
    if *header == reply_header(length, timing) {
        ReplyHeader::Timed(timing)
    } else {
        ReplyHeader::Malformed
    }
}

/// The largest number of 18 digits: more than 31 years.
const MAX_NANOSECONDS: u64 = 999_999_999_999_999_999;

fn header(magic: &[u8; 11], length: usize, clock: u8, nanoseconds: u64) -> [u8; HEADER_LEN] {
    let mut header = [b' '; HEADER_LEN];
    header[..11].copy_from_slice(magic);
    write_digits(&mut header[11..19], length as u64);
    header[20] = clock;
    write_digits(&mut header[21..39], nanoseconds);
    header
}

/// Fills `digits` with the decimal digits of `number`, with leading zeros. If `number` has too many digits,
/// its first digits are omitted.
pub fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Parses decimal digits. Returns `None` if `digits` contains another byte, or if the number does not fit
/// into 64 bits.
#[must_use]
pub fn parse_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_have_the_bytes_of_the_specification() {
        assert_eq!(&request_header(64), b"echo-rtt/1?00000064 0000000000000000000 ");
        let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_nanos(36_912) };
        assert_eq!(&reply_header(64, timing), b"ECHO-RTT/1!00000064 K000000000000036912 ");
    }

    #[test]
    fn reply_of_a_server_without_timing_is_recognised() {
        let mut text = bytes::BytesMut::from(&request_header(64)[..]);
        crate::uppercase(&mut text);
        assert_eq!(parse_reply_header(text[..].try_into().unwrap(), 64), ReplyHeader::Plain);
    }

    #[test]
    fn incomplete_or_invalid_request_header_is_text() {
        let valid = request_header(64);
        assert_eq!(timed_request_length(&valid), Some(64));
        assert_eq!(timed_request_length(&valid[..39]), None);
        for index in 0..HEADER_LEN {
            let mut invalid = valid;
            invalid[index] ^= 0x10;
            assert_ne!(timed_request_length(&invalid), Some(64), "{index}");
        }
        assert_eq!(timed_request_length(b"echo-rtt/1?00065508 0000000000000000000 "), None);
        assert_eq!(timed_request_length(b"echo-rtt/1?00000039 0000000000000000000 "), None);
    }

    #[test]
    fn reply_header_with_another_length_is_malformed() {
        let timing = Timing { arrival: ArrivalClock::Program, server: Duration::ZERO };
        assert_eq!(parse_reply_header(&reply_header(64, timing), 64), ReplyHeader::Timed(timing));
        assert_eq!(parse_reply_header(&reply_header(64, timing), 65), ReplyHeader::Malformed);
    }

    #[test]
    fn start_of_a_stream_is_incomplete_until_its_header_is_complete() {
        let first = request_header(64).to_vec();
        let mut second =
            version2::request_header(200, version2::Requested::CountsAndTimestamps, 1).to_vec();
        second.extend_from_slice(b"0000000001");
        for (request, version1_len) in [(first, HEADER_LEN), (second, version2::MIN_LEN)] {
            for cut in 0..version1_len {
                assert_eq!(Request::at_start(&request[..cut]), RequestStart::Incomplete, "{cut}");
            }
            let start = Request::at_start(&request);
            assert!(matches!(start, RequestStart::Header(header) if header.needs_timestamps()));
        }
        assert_eq!(Request::at_start(&[b'x'; HEADER_LEN]), RequestStart::Malformed);
        let other_version = b"echo-rtt/3?00000064 0000000000000000000 ";
        assert_eq!(Request::at_start(other_version), RequestStart::Malformed);
    }

    #[test]
    fn datagram_of_another_length_has_no_header() {
        let mut datagram = request_header(64).to_vec();
        assert_eq!(Request::of_datagram(&datagram), None);
        datagram.resize(64, b'x');
        let request = Request::of_datagram(&datagram);
        assert_eq!(request, Some(Request::Version1 { length: 64 }));
        assert_eq!(request.map(|request| request.length()), Some(64));
    }

    proptest! {
        #[test]
        fn parsing_a_built_header_returns_its_values(length in HEADER_LEN..=MAX_TIMED_LEN, ns in 0..=MAX_NANOSECONDS) {
            let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_nanos(ns) };
            prop_assert_eq!(parse_reply_header(&reply_header(length, timing), length), ReplyHeader::Timed(timing));
            prop_assert_eq!(timed_request_length(&request_header(length)), Some(length));
        }

        #[test]
        fn parsing_any_bytes_does_not_panic(bytes in proptest::array::uniform32(any::<u8>())) {
            let mut header = request_header(64);
            header[8..].copy_from_slice(&bytes);
            let _ = (timed_request_length(&header), parse_reply_header(&header, 64));
        }
    }
}
