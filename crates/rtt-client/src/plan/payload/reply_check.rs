//! The results of comparisons of received bytes with a request, or with the expected reply.

use super::ServerReport;
use crate::model::format::{count, counted};
use crate::model::protocol::ReplyForm;
use std::fmt;

/// The result of the comparison of received bytes with the expected reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplyCheck {
    /// The first `len` bytes are the complete reply.
    Complete { len: usize, report: ServerReport },
    /// The beginning of the expected reply.
    Incomplete,
    /// Not the expected reply.
    Wrong(Mismatch),
}

impl ReplyCheck {
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }
}

/// The meaning of bytes that follow a complete reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtraBytes {
    /// The reply is too long.
    Wrong,
    /// The next reply of a stream.
    NextReply,
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
    /// Only for services: the identifier of the reply is not the identifier of the request.
    WrongIdentifier,
    /// The reply arrived before the request was sent.
    ArrivedBeforeRequest,
    MalformedTimingHeader,
    /// The reply is correct in the other form. The user or an earlier reply has selected the expected form.
    OtherForm {
        expected: ReplyForm,
    },
    /// The reported processing time is longer than the RTT.
    ImpossibleServerTime,
    /// The first different byte. The first byte of a reply has position 1.
    DiffersAtByte(usize),
    TooLong {
        extra: usize,
        expected: usize,
    },
    /// Only for datagrams, and for services. The rest of an echo reply on a stream can still arrive.
    TooShort {
        received: usize,
        expected: usize,
    },
    /// Only for services: the reply does not begin in the expected way. The first byte of a reply has position 1.
    WrongStart {
        position: usize,
    },
    /// Only for services: the reply is complete, but it is shorter than the expected beginning.
    ShorterThanStart {
        received: usize,
        expected: usize,
    },
    /// Only for services: more bytes follow the end of the reply.
    BytesAfterEnd {
        extra: usize,
    },
    /// Only for services: the end of the reply is not among this number of bytes.
    NoEnd {
        max: usize,
    },
    /// Only for services: the reply did not end before the timeout, or the datagram does not contain the end.
    Unfinished {
        received: usize,
    },
    /// Only for streams: bytes arrived, but no request waits for a reply.
    NoRequestInFlight,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongToken => f.write_str("the token of the reply is wrong"),
            Self::WrongIdentifier => f.write_str("the identifier of the reply is wrong"),
            Self::ArrivedBeforeRequest => {
                f.write_str("the reply arrived before the request was sent")
            }
            Self::MalformedTimingHeader => f.write_str("the timing header is malformed"),
            Self::OtherForm { expected: ReplyForm::UpperCase } => f.write_str(
                "the reply is the unchanged request instead of the request in upper case",
            ),
            Self::OtherForm { expected: ReplyForm::Unchanged } => f.write_str(
                "the reply is the request in upper case instead of the unchanged request",
            ),
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
            Self::WrongStart { position } => {
                write!(f, "the reply differs from the expected beginning at byte {position}")
            }
            Self::ShorterThanStart { received, expected } => write!(
                f,
                "the reply has {}, but the expected beginning has {expected}",
                bytes(*received)
            ),
            Self::BytesAfterEnd { extra } => {
                let follow = counted(*extra as u64, "byte follows", "bytes follow");
                write!(f, "{follow} the end of the reply")
            }
            Self::NoEnd { max } => {
                write!(
                    f,
                    "the first {} bytes of the reply do not contain its end",
                    count(*max as u64)
                )
            }
            Self::Unfinished { received } => {
                write!(f, "the reply has no end after {}", bytes(*received))
            }
            Self::NoRequestInFlight => f.write_str("bytes arrived, but no request was in flight"),
        }
    }
}

/// Formats a number of bytes: `1 byte`, `5 bytes`.
fn bytes(number: usize) -> String {
    counted(number as u64, "byte", "bytes")
}
