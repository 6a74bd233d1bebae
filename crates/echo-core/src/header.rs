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
pub const LONGEST_TIMED: usize = 65_507;

const ASKED: &[u8; 11] = b"echo-rtt/1?";
const TOLD: &[u8; 11] = b"ECHO-RTT/1!";
/// What the first bytes become where a server knows text alone.
const UNKNOWN: &[u8; 11] = b"ECHO-RTT/1?";

/// What a reply's header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Where the time began to count.
    pub arrival: Arrival,
    /// From the request's arrival until the reply was handed to the system, in nanoseconds' resolution.
    pub server: Duration,
}

/// Whose word the arrival of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The server's kernel stamped the packet.
    Kernel,
    /// The server's program took the time when it had read the request; what passed before is not in.
    Program,
}

/// What the beginning of a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
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
/// If the length is beyond [`LONGEST_TIMED`] or does not leave room for the header.
#[must_use]
pub fn ask(length: usize) -> [u8; HEADER_LEN] {
    assert!((HEADER_LEN..=LONGEST_TIMED).contains(&length), "{length} bytes can't be timed");
    header(ASKED, length, b'0', 0)
}

/// The length of the message, header included, that `text` begins with and that asks for its timing;
/// nothing, if it does not begin so, or not with a whole and proper header.
#[must_use]
pub fn asked(text: &[u8]) -> Option<usize> {
    let header: &[u8; HEADER_LEN] = text.first_chunk()?;
    let length = number(&header[11..19])?;
    let length = usize::try_from(length).ok()?;
    let proper = (HEADER_LEN..=LONGEST_TIMED).contains(&length) && *header == ask(length);
    proper.then_some(length)
}

/// The header of a reply of `length` bytes, itself included.
#[must_use]
pub fn tell(length: usize, timing: Timing) -> [u8; HEADER_LEN] {
    let arrival = match timing.arrival {
        Arrival::Kernel => b'K',
        Arrival::Program => b'P',
    };
    let nanoseconds = u64::try_from(timing.server.as_nanos()).unwrap_or(u64::MAX);
    header(TOLD, length, arrival, nanoseconds.min(MOST_NANOSECONDS))
}

/// What the header of a reply of `length` bytes says.
#[must_use]
pub fn told(header: &[u8; HEADER_LEN], length: usize) -> Answer {
    if header.starts_with(UNKNOWN) {
        return Answer::Plain;
    }
    let arrival = match header[20] {
        b'K' => Arrival::Kernel,
        b'P' => Arrival::Program,
        _ => return Answer::Malformed,
    };
    let Some(nanoseconds) = number(&header[21..39]) else { return Answer::Malformed };
    let timing = Timing { arrival, server: Duration::from_nanos(nanoseconds) };
    if *header == tell(length, timing) { Answer::Timed(timing) } else { Answer::Malformed }
}

/// The largest number of 18 digits: more than 31 years.
const MOST_NANOSECONDS: u64 = 999_999_999_999_999_999;

fn header(magic: &[u8; 11], length: usize, mark: u8, nanoseconds: u64) -> [u8; HEADER_LEN] {
    let mut header = [b' '; HEADER_LEN];
    header[..11].copy_from_slice(magic);
    digits(&mut header[11..19], length as u64);
    header[20] = mark;
    digits(&mut header[21..39], nanoseconds);
    header
}

/// Fills `place` with the decimal digits of `number`, from the right, zeros in front.
pub fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The number that decimal digits stand for; nothing if they are anything else.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
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
        assert_eq!(&ask(64), b"echo-rtt/1?00000064 0000000000000000000 ");
        let timing = Timing { arrival: Arrival::Kernel, server: Duration::from_nanos(36_912) };
        assert_eq!(&tell(64, timing), b"ECHO-RTT/1!00000064 K000000000000036912 ");
    }

    #[test]
    fn a_server_that_knows_text_alone_is_recognised() {
        let mut text = bytes::BytesMut::from(&ask(64)[..]);
        crate::uppercase(&mut text);
        assert_eq!(told(text[..].try_into().unwrap(), 64), Answer::Plain);
    }

    #[test]
    fn what_is_no_request_for_a_timing_is_text() {
        let proper = ask(64);
        assert_eq!(asked(&proper), Some(64));
        assert_eq!(asked(&proper[..39]), None);
        for place in 0..HEADER_LEN {
            let mut broken = proper;
            broken[place] ^= 0x10;
            assert_ne!(asked(&broken), Some(64), "{place}");
        }
        assert_eq!(asked(b"echo-rtt/1?00065508 0000000000000000000 "), None);
        assert_eq!(asked(b"echo-rtt/1?00000039 0000000000000000000 "), None);
    }

    #[test]
    fn an_answer_to_another_request_is_malformed() {
        let timing = Timing { arrival: Arrival::Program, server: Duration::ZERO };
        assert_eq!(told(&tell(64, timing), 64), Answer::Timed(timing));
        assert_eq!(told(&tell(64, timing), 65), Answer::Malformed);
    }

    proptest! {
        #[test]
        fn what_is_told_is_heard(length in HEADER_LEN..=LONGEST_TIMED, ns in 0..=MOST_NANOSECONDS) {
            let timing = Timing { arrival: Arrival::Kernel, server: Duration::from_nanos(ns) };
            prop_assert_eq!(told(&tell(length, timing), length), Answer::Timed(timing));
            prop_assert_eq!(asked(&ask(length)), Some(length));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::array::uniform32(any::<u8>())) {
            let mut header = ask(64);
            header[8..].copy_from_slice(&bytes);
            let _ = (asked(&header), told(&header, 64));
        }
    }
}
