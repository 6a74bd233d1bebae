//! [`Plan`]: what to measure. A plan is validated when it is created, and never changes afterwards.

mod comparison;
mod diagnosis;
mod error;
pub(crate) mod pacing;
pub(crate) mod payload;
mod settings;
#[cfg(test)]
mod tests;
mod trace;

pub(crate) use comparison::MAX_PAIRS;
pub use comparison::{
    ComparisonPlan, ComparisonSettings, DEFAULT_PAIRS, DEFAULT_PAIRS_DURATION, SWEEP_SIZES,
};
pub use diagnosis::DiagnosisPlan;
pub use error::{MessagePart, PlanError};
pub use settings::{
    Content, DEFAULT_HOST, DEFAULT_REQUEST_LEN, DEFAULT_TIMEOUT, Family, Lifetime, Settings,
};
pub use trace::{TracePlan, TraceSettings};

use crate::model::protocol::Protocol;
use crate::model::target::Target;
use crate::plan::pacing::Pacing;
use crate::plan::payload::{MAX_REQUESTS, Numbering, Payload, TimingHeader};
use std::time::Duration;

/// The longest timeout and the longest interval. It is longer than the round trip of any path, and small enough
/// that a clock reading plus this duration does not overflow.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// The shortest timeout. The system calls cannot distinguish a shorter one from zero.
const MIN_TIMEOUT: Duration = Duration::from_micros(1);

/// The longest duration of a run: a year.
const MAX_RUN: Duration = Duration::from_hours(24 * 366);

/// The highest rate of a schedule, in requests per second. At a higher rate, the cost of a clock reading is not
/// small against the time between requests.
const MAX_RATE: f64 = 1e6;

/// The largest number of requests in flight. The request tracker remembers a few more than this number.
pub(crate) const MAX_IN_FLIGHT: f64 = 1_000_000.0;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) protocol: &'static Protocol,
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    pub(crate) payload: Payload,
    pub(crate) pacing: Pacing,
}

impl Plan {
    /// Creates a plan.
    ///
    /// # Errors
    ///
    /// If the protocol cannot carry the messages, or a setting is out of range.
    pub fn new(
        protocol: &'static Protocol,
        target: Target,
        settings: Settings,
    ) -> Result<Self, PlanError> {
        check_target(protocol, &target, &settings)?;
        check_durations(&settings)?;
        if settings.count.is_some_and(|count| count == 0 || count > MAX_REQUESTS) {
            return Err(PlanError::CountOutOfRange { quantity: "--count", max: MAX_REQUESTS });
        }
        let pacing = match settings.rate {
            None => Pacing::AfterReply(settings.interval),
            Some(rate) => Pacing::FixedRate(check_rate(rate, &settings)?),
        };
        let payload = payload(protocol, &settings)?;
        Ok(Self { protocol, target, settings, payload, pacing })
    }

    /// The settings of the plan.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.target.port.unwrap_or(self.protocol.default_port)
    }

    /// Whether the plan is one exchange of the user's message, without a number in the request.
    pub(crate) fn is_one_message(&self) -> bool {
        matches!(self.settings.content, Content::Message(_))
    }

    /// Whether the requests carry a message of the user.
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

    /// The same plan with kernel timestamps.
    ///
    /// # Errors
    ///
    /// If the requests are too short for the timing header.
    pub(crate) fn with_breakdown(&self) -> Result<Self, PlanError> {
        let settings = Settings { breakdown: true, ..self.settings.clone() };
        Self::new(self.protocol, self.target.clone(), settings)
    }

    /// The same plan for a single exchange.
    pub(crate) fn one_exchange(&self) -> Self {
        let settings = Settings { count: Some(1), rate: None, ..self.settings.clone() };
        Self { settings, pacing: Pacing::AfterReply(Duration::ZERO), ..self.clone() }
    }
}

fn check_target(
    protocol: &'static Protocol,
    target: &Target,
    settings: &Settings,
) -> Result<(), PlanError> {
    if let Some(other) = target.protocol
        && other != protocol
    {
        let target = target.clone();
        return Err(PlanError::OtherProtocol { target, theirs: other.name, ours: protocol.name });
    }
    if let (Some(version), Some(address)) = (settings.version(), target.ip())
        && address.is_ipv4() != (version == Family::V4)
    {
        return Err(PlanError::OtherVersion(target.host.clone()));
    }
    Ok(())
}

fn check_durations(settings: &Settings) -> Result<(), PlanError> {
    let out_of_range = |quantity, max| PlanError::DurationOutOfRange { quantity, max };
    if settings.timeout < MIN_TIMEOUT {
        return Err(PlanError::TimeoutTooShort { min: MIN_TIMEOUT });
    }
    if settings.timeout > MAX_WAIT {
        return Err(out_of_range("--timeout", MAX_WAIT));
    }
    if settings.duration.is_some_and(|duration| duration.is_zero() || duration > MAX_RUN) {
        return Err(out_of_range("--duration", MAX_RUN));
    }
    if settings.interval > MAX_WAIT {
        return Err(out_of_range("--interval", MAX_WAIT));
    }
    Ok(())
}

fn check_rate(rate: f64, settings: &Settings) -> Result<f64, PlanError> {
    // This form also rejects NaN.
    if !(rate > 0.0 && rate <= MAX_RATE) {
        return Err(PlanError::RateOutOfRange { max: MAX_RATE });
    }
    if rate * MAX_WAIT.as_secs_f64() < 1.0 {
        let quantity = "the time between requests (1 / --rate)";
        return Err(PlanError::DurationOutOfRange { quantity, max: MAX_WAIT });
    }
    let timeout = settings.timeout.as_secs_f64();
    if rate * timeout > MAX_IN_FLIGHT {
        return Err(PlanError::TooManyInFlight { rate, timeout, max: MAX_IN_FLIGHT });
    }
    if settings.lifetime == Lifetime::Each {
        return Err(PlanError::ConnectionEachOnSchedule);
    }
    Ok(rate)
}

/// The requests that the settings select, if the protocol can carry them and their replies.
fn payload(protocol: &'static Protocol, settings: &Settings) -> Result<Payload, PlanError> {
    let timed = settings.breakdown;
    let timing = TimingHeader::for_breakdown(timed);
    let check_len = |part, len| {
        let max = protocol.max_message_len;
        if len > max {
            return Err(PlanError::TooLong { part, len, protocol: protocol.title, max });
        }
        Ok(())
    };
    let payload = match &settings.content {
        Content::Message(text) if text.is_empty() && !protocol.carries_empty => {
            return Err(PlanError::EmptyMessage { protocol: protocol.title });
        }
        Content::Message(text) => Payload::of_text(text, Numbering::Unnumbered, timing),
        Content::Numbered(text) => Payload::of_text(text, Numbering::Numbered, timing),
        Content::Sized(size) => {
            let size = size.unwrap_or(DEFAULT_REQUEST_LEN);
            let min = Payload::min_size(timing);
            if size < min {
                return Err(PlanError::TooShort { size, min, timed });
            }
            check_len(MessagePart::Request, size)?;
            Payload::of_size(size, timing)
        }
    };
    check_len(MessagePart::Request, payload.request_len())?;
    check_len(MessagePart::Reply, payload.reply_len())?;
    Ok(payload)
}
