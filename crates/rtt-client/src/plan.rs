//! [`Plan`]: what is to be measured, validated and from then on unchanged.

mod comparison;
mod diagnosis;
pub(crate) mod pacing;
pub(crate) mod payload;
mod trace;

pub(crate) use comparison::MAX_PAIRS;
pub use comparison::{ComparisonPlan, ComparisonSettings};
pub use diagnosis::DiagnosisPlan;
pub use trace::TracePlan;

use crate::model::protocol::Protocol;
use crate::model::target::Target;
use crate::plan::pacing::Pacing;
use crate::plan::payload::{MAX_REQUESTS, Numbering, Payload, TimingHeader};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a reply can be waited for at most, and how far requests can be apart: an hour is beyond
/// any path's round trip, and a clock reading plus it can't overflow.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// The shortest time-out: what the system's calls can tell from none at all.
const SHORTEST_TIMEOUT: Duration = Duration::from_micros(1);

/// How long a run can be asked to last: a year.
const LONGEST_RUN: Duration = Duration::from_hours(24 * 366);

/// The most requests a second that make a schedule: below a microsecond a clock reading is no longer
/// small against the period.
const HIGHEST_RATE: f64 = 1e6;

/// The largest number of requests in flight. The request tracker remembers a few more.
pub(crate) const MAX_IN_FLIGHT: f64 = 1_000_000.0;

/// How long a request of a series is where nothing else is said, in bytes.
const USUAL_SIZE: usize = 64;

/// Which version of IP to use, where the user wants one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// How long connections last, where the protocol has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// One for the run, opened anew where the peer closes it.
    #[default]
    Keep,
    /// One an exchange.
    Each,
}

/// What requests carry.
#[derive(Debug, Clone)]
pub enum Content {
    /// The user's message, as it is.
    Message(Bytes),
    /// The request's number, and the user's message behind it.
    Numbered(Bytes),
    /// The request's number and filler: so many bytes together, or as many as are usual.
    Sized(Option<usize>),
}

/// Everything that can be asked for, beside the protocol and the target.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version of IP.
    pub family: Option<Family>,
    /// This side's address.
    pub bind: Option<SocketAddr>,
    /// How long a name, a connection, a reply is waited for: each at most that.
    pub timeout: Duration,
    /// What requests carry.
    pub content: Content,
    /// How many requests are made; without it and a duration, until the run is interrupted.
    pub count: Option<u64>,
    /// For how long requests are made.
    pub duration: Option<Duration>,
    /// One at a time, this long apart at least.
    pub interval: Duration,
    /// So many a second instead, on a schedule that does not wait for replies.
    pub rate: Option<f64>,
    /// How long connections last.
    pub lifetime: Lifetime,
    /// Whether RTTs are split into their parts.
    pub breakdown: bool,
    /// The CPU to stay on.
    pub pin: Option<usize>,
    /// Whether to ask again and again, instead of sleeping until something arrives.
    pub spin: bool,
}

impl Settings {
    /// One exchange of `message`, as it is.
    pub fn one(message: impl Into<Bytes>) -> Self {
        Self {
            family: None,
            bind: None,
            timeout: Duration::from_secs(2),
            content: Content::Message(message.into()),
            count: Some(1),
            duration: None,
            interval: Duration::ZERO,
            rate: None,
            lifetime: Lifetime::Keep,
            breakdown: false,
            pin: None,
            spin: false,
        }
    }

    /// The version of IP that is asked for, by itself or by this side's address.
    pub(crate) fn version(&self) -> Option<Family> {
        let of = |address: SocketAddr| if address.is_ipv4() { Family::V4 } else { Family::V6 };
        self.family.or(self.bind.map(of))
    }

    /// `count` exchanges of the usual size, each as soon as the one before is over.
    #[must_use]
    pub fn series(count: u64) -> Self {
        Self { content: Content::Sized(None), count: Some(count), ..Self::one("") }
    }
}

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) protocol: &'static Protocol,
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    pub(crate) payload: Payload,
    pub(crate) pacing: Pacing,
}

/// Why something can't be measured as asked. Each is told to the user in one line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The target is a URL of another protocol.
    #[error("{target} is a target for `rtt-client {theirs}`, not for `{ours}`")]
    OtherProtocol {
        /// The target as given.
        target: Target,
        /// The protocol in it.
        theirs: &'static str,
        /// The protocol asked for.
        ours: &'static str,
    },
    /// A request, or its reply, is longer than one exchange can carry.
    #[error("the {what} has {length} bytes, and one exchange over {protocol} carries {longest}")]
    TooLong {
        /// `request` or `reply`.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The protocol's title.
        protocol: &'static str,
        /// The longest there is, in bytes.
        longest: usize,
    },
    /// A request has no room for its number.
    #[error("{size} bytes are too few: a request of a series needs {shortest} for its number{}",
        if *.timed { " and the timing header" } else { "" })]
    TooShort {
        /// The size asked for, in bytes.
        size: usize,
        /// The smallest there is.
        shortest: usize,
        /// Whether a header is among it.
        timed: bool,
    },
    /// The target is an address of the other version of IP.
    #[error("{0} is no address of the version of IP that -4, -6 or --bind ask for")]
    OtherVersion(String),
    /// Nothing would be sent.
    #[error("an empty message sends nothing over {0}, so no reply can come")]
    Empty(&'static str),
    /// A duration is out of bounds.
    #[error("{0} must be above 0 and no more than {1}")]
    OutOfBounds(&'static str, &'static str),
    /// A time-out is shorter than any clock could keep.
    #[error("a time-out must be a microsecond at least")]
    TimeoutTooShort,
    /// A confidence is none.
    #[error("a confidence is from 50 to 99.99 per cent")]
    InvalidConfidence,
    /// More requests would be in the air than can be kept book of.
    #[error("{0} a second for a time-out of {1} s: more than a million requests in the air")]
    TooManyInFlight(f64, f64),
    /// A schedule does not wait, and connecting does.
    #[error("--rate does not wait for replies, and --connection each connects for each")]
    ConnectionEachOnASchedule,
}

impl Plan {
    /// A plan, if it can be carried out.
    ///
    /// # Errors
    ///
    /// What the protocol can't carry, or makes no sense.
    pub fn new(
        protocol: &'static Protocol,
        target: Target,
        settings: Settings,
    ) -> Result<Self, PlanError> {
        if let Some(theirs) = target.protocol
            && theirs != protocol
        {
            let (theirs, ours) = (theirs.name, protocol.name);
            return Err(PlanError::OtherProtocol { target, theirs, ours });
        }
        if let (Some(version), Some(address)) = (settings.version(), target.ip())
            && address.is_ipv4() != (version == Family::V4)
        {
            return Err(PlanError::OtherVersion(target.host));
        }
        let bounded = |duration: Duration, longest| !duration.is_zero() && duration <= longest;
        if !bounded(settings.timeout, MAX_WAIT) {
            return Err(PlanError::OutOfBounds("a time-out", "an hour"));
        }
        if settings.timeout < SHORTEST_TIMEOUT {
            return Err(PlanError::TimeoutTooShort);
        }
        if settings.duration.is_some_and(|duration| !bounded(duration, LONGEST_RUN)) {
            return Err(PlanError::OutOfBounds("a duration", "a year"));
        }
        if settings.interval > MAX_WAIT {
            return Err(PlanError::OutOfBounds("an interval", "an hour"));
        }
        if settings.count.is_some_and(|count| count == 0 || count > MAX_REQUESTS) {
            return Err(PlanError::OutOfBounds("a count", "9999999999"));
        }
        let pacing = match settings.rate {
            None => Pacing::AfterReply(settings.interval),
            Some(rate) => Pacing::FixedRate(check_rate(rate, &settings)?),
        };
        let payload = payload(protocol, &settings)?;
        Ok(Self { protocol, target, settings, payload, pacing })
    }

    pub(crate) fn port(&self) -> u16 {
        self.target.port.unwrap_or(self.protocol.default_port)
    }

    /// Whether there is one exchange, of the user's own message.
    pub(crate) fn is_one_message(&self) -> bool {
        matches!(self.settings.content, Content::Message(_))
    }

    /// Whether requests carry a message of the user's.
    pub(crate) fn has_a_message(&self) -> bool {
        matches!(self.settings.content, Content::Message(_) | Content::Numbered(_))
    }

    /// The target's host and port.
    pub(crate) fn host_and_port(&self) -> String {
        let port = Some(self.port());
        Target { protocol: None, port, ..self.target.clone() }.to_string()
    }

    /// The target as a URL.
    pub(crate) fn url(&self) -> String {
        let port = Some(self.port());
        Target { protocol: Some(self.protocol), port, ..self.target.clone() }.to_string()
    }

    /// The same plan with kernel stamps, if requests are long enough to ask for the server's share, or
    /// can be made so.
    pub(crate) fn with_breakdown(&self) -> Result<Self, PlanError> {
        let settings = Settings { breakdown: true, ..self.settings.clone() };
        Self::new(self.protocol, self.target.clone(), settings)
    }

    /// The same plan, for one exchange.
    pub(crate) fn one_exchange(&self) -> Self {
        let settings = Settings { count: Some(1), rate: None, ..self.settings.clone() };
        Self { settings, pacing: Pacing::AfterReply(Duration::ZERO), ..self.clone() }
    }
}

fn check_rate(rate: f64, settings: &Settings) -> Result<f64, PlanError> {
    // Not a number compares as out of bounds as well.
    if !(rate > 0.0 && rate <= HIGHEST_RATE) {
        return Err(PlanError::OutOfBounds("a rate", "1000000 a second"));
    }
    if rate * MAX_WAIT.as_secs_f64() < 1.0 {
        return Err(PlanError::OutOfBounds("the time between requests", "an hour"));
    }
    let timeout = settings.timeout.as_secs_f64();
    if rate * timeout > MAX_IN_FLIGHT {
        return Err(PlanError::TooManyInFlight(rate, timeout));
    }
    if settings.lifetime == Lifetime::Each {
        return Err(PlanError::ConnectionEachOnASchedule);
    }
    Ok(rate)
}

fn payload(protocol: &'static Protocol, settings: &Settings) -> Result<Payload, PlanError> {
    let timed = settings.breakdown;
    let timing = TimingHeader::for_breakdown(timed);
    let check = |what, length| {
        let (protocol, longest) = (protocol.title, protocol.max_message_len);
        if length > longest {
            return Err(PlanError::TooLong { what, length, protocol, longest });
        }
        Ok(())
    };
    let payload = match &settings.content {
        Content::Message(text) if text.is_empty() && !protocol.carries_empty => {
            return Err(PlanError::Empty(protocol.title));
        }
        Content::Message(text) => Payload::of_text(text, Numbering::Unnumbered, timing),
        Content::Numbered(text) => Payload::of_text(text, Numbering::Numbered, timing),
        Content::Sized(size) => {
            let size = size.unwrap_or(USUAL_SIZE);
            let shortest = Payload::min_size(timing);
            if size < shortest {
                return Err(PlanError::TooShort { size, shortest, timed });
            }
            check("request", size)?;
            Payload::of_size(size, timing)
        }
    };
    check("request", payload.request_len())?;
    check("reply", payload.reply_len())?;
    Ok(payload)
}

#[cfg(test)]
mod tests;
