//! [`CloseReason`]: the reason for the end of a channel.

use super::MAX_UNANSWERED;
use crate::model::condition::Condition;
use std::fmt;

/// The reason for the end of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::series) enum CloseReason {
    /// The server, or an error, has ended the connection.
    ByServer(Condition),
    /// After a wrong reply, the position of the next reply in the stream is unknown.
    WrongReply,
    /// The last reply states that the server closes the connection.
    ByReply,
    /// The server does not support version 2 of the timing header. A connection supports only one version.
    HeaderVersion,
    /// The plan requests one connection for each exchange.
    OnePerExchange,
    /// The server closes its connections after this number of replies.
    ReplyLimit(u64),
    /// [`MAX_UNANSWERED`] requests have no reply.
    TooManyUnanswered,
    /// The channel does not work, and a new one is open.
    Replaced,
    /// The client uses another address of the target.
    AddressChanged,
    EndOfSeries,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByServer(condition) => write!(f, "condition {condition}"),
            Self::WrongReply => f.write_str("wrong reply"),
            Self::ByReply => f.write_str("the reply states that the server closes the connection"),
            Self::HeaderVersion => f.write_str("other version of the timing header"),
            Self::OnePerExchange => f.write_str("one connection for each exchange"),
            Self::ReplyLimit(replies) => {
                write!(f, "the server closes connections after reply number {replies}")
            }
            Self::TooManyUnanswered => {
                write!(f, "{MAX_UNANSWERED} requests without a reply")
            }
            Self::Replaced => f.write_str("replaced by a new channel"),
            Self::AddressChanged => f.write_str("the target has another address"),
            Self::EndOfSeries => f.write_str("end of the series"),
        }
    }
}
