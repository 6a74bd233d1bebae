//! [`PlanError`]: the reasons why a plan cannot run.

use crate::model::failure_context::VersionOption;
use crate::model::format::counted;
use crate::model::target::Target;
use humantime::format_duration;
use std::fmt;
use std::time::Duration;

/// The reason why a plan cannot run. Each message is one line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The target is a URL of another protocol.
    #[error("{target} is a target for `rtt-client {theirs}`, not for `rtt-client {ours}`")]
    OtherProtocol {
        /// The target.
        target: Target,
        /// The protocol in the target.
        theirs: &'static str,
        /// The protocol of the command.
        ours: &'static str,
    },
    /// The target has a port, but the protocol has no ports.
    #[error("{target} has a port, but {protocol} has no ports")]
    HasNoPorts {
        /// The target.
        target: Target,
        /// The protocol's title.
        protocol: &'static str,
    },
    /// The local address has a port, but the protocol has no ports.
    #[error("--bind selects port {port}, but {protocol} has no ports")]
    BindHasNoPorts {
        /// The port.
        port: u16,
        /// The protocol's title.
        protocol: &'static str,
    },
    /// The settings request a connection for each exchange, but the protocol has no connections.
    #[error(
        "--connection each opens a connection for each exchange, but {protocol} has no connections"
    )]
    HasNoConnections {
        /// The protocol's title.
        protocol: &'static str,
    },
    /// The settings select a form of replies that the kernel of a host never sends.
    #[error("--echo upper is not possible: the reply of {protocol} is the unchanged request")]
    NoUpperCase {
        /// The protocol's title.
        protocol: &'static str,
    },
    /// The protocol has no service with this name.
    #[error("{protocol} has no service `{name}`; {protocol} has {}",
        if .known.is_empty() { "none" } else { .known })]
    UnknownService {
        /// The name.
        name: String,
        /// The protocol's title.
        protocol: &'static str,
        /// The names of the protocol's services.
        known: String,
    },
    /// The end of a reply is empty.
    #[error("the end of a reply (--reply-ends, --reply-bytes) must have at least 1 byte")]
    EmptyReplyEnd,
    /// The expected beginning of a reply is longer than the whole reply.
    #[error(
        "the beginning of a reply (--expect-prefix: {start} bytes) is longer than the reply (--reply-bytes {reply})"
    )]
    StartLongerThanReply {
        /// The length of the beginning in bytes.
        start: usize,
        /// The length of a reply in bytes.
        reply: usize,
    },
    /// Without an end, a reply on a stream cannot be separated from the next one.
    #[error(
        "--rate over {protocol} needs the end of a reply (--reply-ends or --reply-bytes), because several requests \
        can be in flight"
    )]
    NoReplyEndAtFixedRate {
        /// The protocol's title.
        protocol: &'static str,
    },
    /// If the server sends first, each exchange needs a new connection.
    #[error(
        "--rate is not possible for a server that sends first, because each exchange needs a new connection"
    )]
    GreetingAtFixedRate,
    /// If the server sends first, there is no request packet whose time the kernel could record.
    #[error("a server that sends first has no breakdown: the client sends no request packet")]
    GreetingWithBreakdown,
    /// The settings select a request to a server program, but no server program receives requests over the protocol.
    #[error("--send needs a server program, but over {protocol}, the kernel of the host replies")]
    NoServerProgram {
        /// The protocol's title.
        protocol: &'static str,
    },
    /// The requests of a sweep have several sizes.
    #[error("--sweep needs an echo server: the requests to other services have one size")]
    SweepWithoutEcho,
    /// The service has too few identifiers for the requests in flight.
    #[error(
        "the service has identifiers for only {max} requests in flight; lower --rate or --timeout"
    )]
    TooFewIdentifiers {
        /// The largest number of requests in flight.
        max: u64,
    },
    /// The settings select the handshake of a connection as the exchange, but the client cannot measure it.
    #[error(
        "--connect-only measures the handshake of a connection; the client has no such measurement over {protocol}"
    )]
    HasNoHandshake {
        /// The protocol's title.
        protocol: &'static str,
    },
    /// The kernel takes timestamps of data only.
    #[error(
        "--connect-only has no breakdown: the kernel takes no timestamps of the packets of a handshake"
    )]
    HandshakeWithBreakdown,
    /// Each handshake belongs to a new connection.
    #[error("--connect-only opens a connection for each exchange, so it has no --connection")]
    HandshakeWithLifetime,
    /// A request, or its reply, is too long for one exchange.
    #[error("the {part} has {len} bytes; one exchange over {protocol} carries at most {max} bytes")]
    TooLong {
        /// The message that is too long.
        part: MessagePart,
        /// Its length in bytes.
        len: usize,
        /// The protocol's title.
        protocol: &'static str,
        /// The maximum in bytes.
        max: usize,
    },
    /// A request is too short for its number.
    #[error("a size of {} is too small: a request of a series needs at least {min} bytes for its \
        number{}", counted(*.size as u64, "byte", "bytes"), if *.timed { " and the timing header" } else { "" })]
    TooShort {
        /// The size in bytes.
        size: usize,
        /// The smallest possible size in bytes.
        min: usize,
        /// Whether the request also contains the timing header.
        timed: bool,
    },
    /// The target is an address of the other version of IP.
    #[error("{address} is not an {0} address, but {1} selects {0}", .option.selected(), .option.name())]
    OtherVersion {
        /// The target.
        address: String,
        /// The option that selects the other version.
        option: VersionOption,
    },
    /// The message is empty, and the protocol cannot send an empty message.
    #[error("the message is empty: {protocol} sends nothing for it, so no reply can arrive")]
    EmptyMessage {
        /// The protocol's title.
        protocol: &'static str,
    },
    /// A trace cannot contain the packets of the protocol.
    #[error("cannot trace {protocol}: the client cannot capture and explain its packets")]
    NotCaptured {
        /// The protocol's title.
        protocol: &'static str,
    },
    /// A duration is zero.
    #[error("{quantity} must be longer than 0")]
    ZeroDuration {
        /// The name of the duration.
        quantity: &'static str,
    },
    /// A duration is too long.
    #[error("{quantity} must be at most {}", format_duration(*max))]
    DurationTooLong {
        /// The name of the duration.
        quantity: &'static str,
        /// The longest duration.
        max: Duration,
    },
    /// A number is zero or too large.
    #[error("{quantity} must be between 1 and {max}")]
    CountOutOfRange {
        /// The name of the number.
        quantity: &'static str,
        /// The largest number.
        max: u64,
    },
    /// The rate is not positive, or too high.
    #[error("--rate must be above 0 and at most {max} requests per second")]
    RateOutOfRange {
        /// The highest rate, in requests per second.
        max: f64,
    },
    /// The timeout is too short.
    #[error("--timeout must be at least {}", format_duration(*min))]
    TimeoutTooShort {
        /// The shortest timeout.
        min: Duration,
    },
    /// The confidence level is out of range.
    #[error("--confidence must be between {min} and {max} percent")]
    InvalidConfidence {
        /// The lowest level, in percent.
        min: f64,
        /// The highest level, in percent.
        max: f64,
    },
    /// The rate and the timeout allow too many requests in flight.
    #[error(
        "--rate {rate} with a timeout of {timeout} s can have more than {max} requests in flight; lower one \
         of them"
    )]
    TooManyInFlight {
        /// Requests per second.
        rate: f64,
        /// The timeout in seconds.
        timeout: f64,
        /// The largest number of requests in flight.
        max: u32,
    },
    /// A fixed rate does not wait for replies. A connection for each exchange requires this wait.
    #[error(
        "--rate does not wait for replies, so it cannot open a connection for each exchange \
         (--connection each)"
    )]
    ConnectionEachAtFixedRate,
}

/// One of the two messages of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessagePart {
    /// The message to the server.
    Request,
    /// The message from the server.
    Reply,
}

impl fmt::Display for MessagePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Reply => "reply",
        })
    }
}
