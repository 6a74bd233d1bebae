//! The results of the comparison of received bytes with a request or the expected reply.

use super::ServerReport;
use crate::model::format::counted;
use std::fmt;

/// The result of the comparison of received bytes with the expected reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplyCheck {
    /// The complete reply, with the report of the server.
    Complete(ServerReport),
    /// The beginning of the expected reply.
    Incomplete,
    /// Not the expected reply.
    Wrong(Mismatch),
}

/// The result of the comparison of the bytes that an ICMP error quotes with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotation {
    /// The bytes include the token. For a message without a token, they are the whole message, or its first
    /// [`MAX_VERIFIED_LEN`](super::MAX_VERIFIED_LEN) bytes.
    Complete,
    /// The bytes end before the end of the token, or the token has fewer than
    /// [`MIN_TOKEN_BITS`](super::MIN_TOKEN_BITS).
    Incomplete,
    /// The bytes are not from this request.
    Different,
}

/// The difference between a received reply and the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The number of the request is correct, but the token after it is not, even if the case of letters is ignored. So the
    /// sender has not received this request.
    WrongToken,
    /// The reply arrived before the request was sent.
    ArrivedBeforeRequest,
    MalformedTimingHeader,
    /// The reported processing time is longer than the RTT.
    ImpossibleServerTime,
    /// The first different byte. The first byte of a reply has position 1.
    DiffersAtByte(usize),
    TooLong {
        extra: usize,
        expected: usize,
    },
    /// Only for datagrams. On a stream, the rest of a reply can still arrive.
    TooShort {
        received: usize,
        expected: usize,
    },
    /// Only for streams: bytes arrived, but no request waits for a reply.
    NoRequestInFlight,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongToken => f.write_str("the token of the reply is wrong"),
            Self::ArrivedBeforeRequest => {
                f.write_str("the reply arrived before the request was sent")
            }
            Self::MalformedTimingHeader => f.write_str("the timing header is malformed"),
            Self::ImpossibleServerTime => {
                f.write_str("the reported processing time is longer than the RTT")
            }
            Self::DiffersAtByte(position) => {
                write!(f, "the reply differs from the expected reply at byte {position}")
            }
            Self::TooLong { extra, expected } => {
                let [extra, expected] = [*extra, *expected].map(bytes);
                write!(f, "the reply is {extra} longer than the expected {expected}")
            }
            Self::TooShort { received, expected } => {
                write!(f, "the reply has {} instead of {expected}", bytes(*received))
            }
            Self::NoRequestInFlight => f.write_str("bytes arrived, but no request was in flight"),
        }
    }
}

/// Formats a number of bytes: `1 byte`, `5 bytes`.
fn bytes(number: usize) -> String {
    counted(number as u64, "byte", "bytes")
}
