//! The timing header: how a client asks a server how long it had the request, and how it is told.
//!
//! `docs/protocol.md` specifies it to the byte. It is ASCII text that survives upper-casing, because a
//! server that does not know it answers it as text, and must neither choke on it nor be mistaken for
//! one that knows. Request and reply have the same length, so asking gains nothing for an attacker.

use std::time::Duration;

/// How long the header is, in a request and in a reply, in bytes.
pub const HEADER_LEN: usize = 40;

/// The longest message that may begin with a header, in bytes, the header included: what a datagram
/// carries over IPv4, and as much as a server has to hold of a connection at once.
pub const MAX_TIMED_LEN: usize = 65_507;

const REQUEST_MAGIC: &[u8; 11] = b"echo-rtt/1?";
const REPLY_MAGIC: &[u8; 11] = b"ECHO-RTT/1!";
/// What the first bytes become where a server knows text alone.
const UPPERCASED_REQUEST_MAGIC: &[u8; 11] = b"ECHO-RTT/1?";

/// What a reply's header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Where the time began to count.
    pub arrival: ArrivalClock,
    /// From the request's arrival until the reply was handed to the system, in nanoseconds' resolution.
    pub server: Duration,
}

/// Whose word the arrival of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrivalClock {
    /// The server's kernel stamped the packet.
    Kernel,
    /// The server's program took the time when it had read the request; what passed before is not in.
    Program,
}

/// What the beginning of a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyHeader {
    /// A timing.
    Timed(Timing),
    /// The request's own header in upper case: the server knows text alone.
    Plain,
    /// Neither.
    Malformed,
}

/// The header of a request of `length` bytes, itself included.
///
/// # Panics
///
/// If the length is beyond [`MAX_TIMED_LEN`] or does not leave room for the header.
#[must_use]
pub fn request_header(length: usize) -> [u8; HEADER_LEN] {
    assert!((HEADER_LEN..=MAX_TIMED_LEN).contains(&length), "{length} bytes can't be timed");
    header(REQUEST_MAGIC, length, b'0', 0)
}

/// The length of the message, header included, that `text` begins with and that asks for its timing;
/// nothing, if it does not begin so, or not with a whole and proper header.
#[must_use]
pub fn timed_request_length(text: &[u8]) -> Option<usize> {
    let header: &[u8; HEADER_LEN] = text.first_chunk()?;
    let length = parse_digits(&header[11..19])?;
    let length = usize::try_from(length).ok()?;
    let proper =
        (HEADER_LEN..=MAX_TIMED_LEN).contains(&length) && *header == request_header(length);
    proper.then_some(length)
}

/// The header of a reply of `length` bytes, itself included.
#[must_use]
pub fn reply_header(length: usize, timing: Timing) -> [u8; HEADER_LEN] {
    let arrival = match timing.arrival {
        ArrivalClock::Kernel => b'K',
        ArrivalClock::Program => b'P',
    };
    let nanoseconds = u64::try_from(timing.server.as_nanos()).unwrap_or(u64::MAX);
    header(REPLY_MAGIC, length, arrival, nanoseconds.min(MAX_NANOSECONDS))
}

/// What the header of a reply of `length` bytes says.
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

fn header(magic: &[u8; 11], length: usize, mark: u8, nanoseconds: u64) -> [u8; HEADER_LEN] {
    let mut header = [b' '; HEADER_LEN];
    header[..11].copy_from_slice(magic);
    write_digits(&mut header[11..19], length as u64);
    header[20] = mark;
    write_digits(&mut header[21..39], nanoseconds);
    header
}

/// Fills `place` with the decimal digits of `number`, from the right, zeros in front.
pub fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The number that decimal digits stand for; nothing if they are anything else.
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
    fn the_bytes_are_those_of_the_specification() {
        assert_eq!(&request_header(64), b"echo-rtt/1?00000064 0000000000000000000 ");
        let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_nanos(36_912) };
        assert_eq!(&reply_header(64, timing), b"ECHO-RTT/1!00000064 K000000000000036912 ");
    }

    #[test]
    fn a_server_that_knows_text_alone_is_recognised() {
        let mut text = bytes::BytesMut::from(&request_header(64)[..]);
        crate::uppercase(&mut text);
        assert_eq!(parse_reply_header(text[..].try_into().unwrap(), 64), ReplyHeader::Plain);
    }

    #[test]
    fn what_is_no_request_for_a_timing_is_text() {
        let proper = request_header(64);
        assert_eq!(timed_request_length(&proper), Some(64));
        assert_eq!(timed_request_length(&proper[..39]), None);
        for place in 0..HEADER_LEN {
            let mut broken = proper;
            broken[place] ^= 0x10;
            assert_ne!(timed_request_length(&broken), Some(64), "{place}");
        }
        assert_eq!(timed_request_length(b"echo-rtt/1?00065508 0000000000000000000 "), None);
        assert_eq!(timed_request_length(b"echo-rtt/1?00000039 0000000000000000000 "), None);
    }

    #[test]
    fn an_answer_to_another_request_is_malformed() {
        let timing = Timing { arrival: ArrivalClock::Program, server: Duration::ZERO };
        assert_eq!(parse_reply_header(&reply_header(64, timing), 64), ReplyHeader::Timed(timing));
        assert_eq!(parse_reply_header(&reply_header(64, timing), 65), ReplyHeader::Malformed);
    }

    proptest! {
        #[test]
        fn what_is_told_is_heard(length in HEADER_LEN..=MAX_TIMED_LEN, ns in 0..=MAX_NANOSECONDS) {
            let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_nanos(ns) };
            prop_assert_eq!(parse_reply_header(&reply_header(length, timing), length), ReplyHeader::Timed(timing));
            prop_assert_eq!(timed_request_length(&request_header(length)), Some(length));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::array::uniform32(any::<u8>())) {
            let mut header = request_header(64);
            header[8..].copy_from_slice(&bytes);
            let _ = (timed_request_length(&header), parse_reply_header(&header, 64));
        }
    }
}
