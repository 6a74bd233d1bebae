//! [`Plan`]: what to measure (pure: no I/O, no clock). A plan is validated when it is created, and never changes
//! afterwards.

mod comparison;
mod error;
pub(crate) mod pacing;
pub(crate) mod payload;
mod settings;
#[cfg(test)]
mod tests;
mod trace;

pub use comparison::{
    ComparisonPlan, ComparisonSettings, DEFAULT_PAIRS, DEFAULT_PAIRS_DURATION, SWEEP_SIZES,
};
pub(crate) use comparison::{MAX_PAIRS, SizePlan};
pub use error::{MessagePart, PlanError};
pub use settings::{
    Content, DEFAULT_HOST, DEFAULT_REQUEST_LEN, DEFAULT_TIMEOUT, Family, Lifetime, Settings,
};
pub use trace::{TracePlan, TraceSettings};

use crate::model::protocol::{Framing, Protocol};
use crate::model::target::Target;
use crate::plan::pacing::Pacing;
use crate::plan::payload::{HeaderContent, MAX_REQUESTS, Numbering, Payload};
use crate::protocol::registry::{PROTOCOLS, protocols_of};
use std::time::Duration;

/// The longest timeout and the longest interval. A clock reading plus this duration does not overflow.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// The shortest timeout. A shorter one would expire before any reply could arrive.
const MIN_TIMEOUT: Duration = Duration::from_micros(1);

/// The longest duration of a run: one year of 365.25 days.
const MAX_RUN: Duration = Duration::from_hours(24 * 365 + 6);

/// The highest fixed rate, in requests per second. At this rate, a send call takes about as long as the time between
/// two requests.
const MAX_RATE: f64 = 1e6;

/// The largest number of requests in flight. It limits the memory of the request tracker and of a connection.
pub(crate) const MAX_IN_FLIGHT: u32 = 1_000_000;

/// What to measure.
///
/// ```
/// use rtt_client::{Plan, Settings, protocol_named};
///
/// let tcp = protocol_named("tcp").expect("TCP is a registered protocol");
/// let plan = Plan::new(tcp, "localhost:7".parse()?, Settings::series(100))?;
/// assert_eq!(plan.url(), "tcp://localhost:7");
/// assert_eq!(plan.settings().count, Some(100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

    /// The protocol that the client measures.
    #[must_use]
    pub fn protocol(&self) -> &'static Protocol {
        self.protocol
    }

    /// The target as the user gave it. Its protocol and its port can be absent.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The settings of the run.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The maximum number of requests that wait for a reply at the same time.
    pub(crate) fn max_in_flight(&self) -> u64 {
        let Pacing::FixedRate(rate) = self.pacing else { return 1 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`check_rate` limits rate x timeout to MAX_IN_FLIGHT"
        )]
        let scheduled = (rate * self.settings.timeout.as_secs_f64()).ceil() as u64 + 1;
        scheduled.min(self.settings.count.unwrap_or(u64::MAX))
    }

    /// The target as a URL, with its protocol and, if the protocol has ports, its port.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.url_port();
        Target { protocol: Some(self.protocol), port, ..self.target.clone() }.to_string()
    }

    /// The target's host and port.
    pub(crate) fn host_and_port(&self) -> String {
        let port = self.url_port();
        Target { protocol: None, port, ..self.target.clone() }.to_string()
    }

    /// The port of the server. It is 0 if the protocol has no ports.
    pub(crate) fn port(&self) -> u16 {
        self.url_port().unwrap_or(0)
    }

    /// The port of the server, if the protocol has ports.
    fn url_port(&self) -> Option<u16> {
        self.target.port.or(self.protocol.default_port)
    }

    /// Whether the plan is one exchange of the user's message, without a number in the request.
    pub(crate) fn is_one_message(&self) -> bool {
        matches!(self.settings.content, Content::Message(_))
    }

    /// Whether the requests contain a message of the user.
    pub(crate) fn has_a_message(&self) -> bool {
        matches!(self.settings.content, Content::Message(_) | Content::Numbered(_))
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

/// A target to diagnose.
#[derive(Debug, Clone)]
pub struct DiagnosisPlan {
    /// One plan for each protocol.
    pub(crate) plans: Vec<Plan>,
    /// One plan for each protocol to which the kernel of a host replies. They show whether the host is up while its
    /// services are down. Empty if `plans` contains no service.
    pub(crate) host_checks: Vec<Plan>,
}

impl DiagnosisPlan {
    /// Creates a plan for the diagnosis of `target`. Without a protocol in the target, the plan contains every protocol
    /// with a server program.
    ///
    /// # Errors
    ///
    /// If a setting is out of range.
    pub fn new(target: &Target, settings: &Settings) -> Result<Self, PlanError> {
        let plans: Vec<Plan> = protocols_of(target)
            .map(|protocol| Plan::new(protocol, target.clone(), settings.clone()))
            .collect::<Result<_, _>>()?;
        let has_services = plans.iter().any(|plan| plan.protocol.needs_server_program());
        let host = Target { protocol: None, port: None, ..target.clone() };
        // The port of `--bind` belongs to the services.
        let mut settings = settings.clone();
        if let Some(address) = &mut settings.bind {
            address.set_port(0);
        }
        let host_checks = PROTOCOLS
            .iter()
            .filter(|protocol| has_services && !protocol.needs_server_program())
            .map(|protocol| Plan::new(protocol, host.clone(), settings.clone()));
        Ok(Self { host_checks: host_checks.collect::<Result<_, _>>()?, plans })
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
    if target.port.is_some() && !protocol.has_ports() {
        let target = target.clone();
        return Err(PlanError::HasNoPorts { target, protocol: protocol.title });
    }
    if let Some(port) = settings.bind.map(|address| address.port())
        && port > 0
        && !protocol.has_ports()
    {
        return Err(PlanError::BindHasNoPorts { port, protocol: protocol.title });
    }
    if settings.lifetime == Lifetime::Each && !protocol.has_connections() {
        return Err(PlanError::HasNoConnections { protocol: protocol.title });
    }
    if let (Some(option), Some(address)) = (settings.version_option(), target.ip())
        && address.is_ipv4() != (settings.version() == Some(Family::V4))
    {
        return Err(PlanError::OtherVersion { address: target.host.clone(), option });
    }
    Ok(())
}

fn check_durations(settings: &Settings) -> Result<(), PlanError> {
    if settings.timeout < MIN_TIMEOUT {
        return Err(PlanError::TimeoutTooShort { min: MIN_TIMEOUT });
    }
    check_max_duration("--timeout", settings.timeout, MAX_WAIT)?;
    check_max_duration("--interval", settings.interval, MAX_WAIT)?;
    let Some(duration) = settings.duration else { return Ok(()) };
    if duration.is_zero() {
        return Err(PlanError::ZeroDuration { quantity: "--duration" });
    }
    check_max_duration("--duration", duration, MAX_RUN)
}

fn check_max_duration(
    quantity: &'static str,
    duration: Duration,
    max: Duration,
) -> Result<(), PlanError> {
    if duration > max {
        return Err(PlanError::DurationTooLong { quantity, max });
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
        return Err(PlanError::DurationTooLong { quantity, max: MAX_WAIT });
    }
    let timeout = settings.timeout.as_secs_f64();
    if rate * timeout > f64::from(MAX_IN_FLIGHT) {
        return Err(PlanError::TooManyInFlight { rate, timeout, max: MAX_IN_FLIGHT });
    }
    if settings.lifetime == Lifetime::Each {
        return Err(PlanError::ConnectionEachAtFixedRate);
    }
    Ok(rate)
}

/// The requests that the settings select, if the protocol can carry them and their replies.
fn payload(protocol: &'static Protocol, settings: &Settings) -> Result<Payload, PlanError> {
    let form = protocol.reply_form;
    // Only the replies to later requests contain evidence about a lost request. A stream retransmits what is lost.
    // The user's message stays the only text of a request.
    let can_locate_losses = settings.count != Some(1)
        && protocol.framing == Framing::Datagrams
        && matches!(settings.content, Content::Sized(_));
    let header = match settings {
        Settings { breakdown: true, .. } => HeaderContent::Timing,
        Settings { locate_losses: true, .. } if can_locate_losses => HeaderContent::Counts,
        _ => HeaderContent::Nothing,
    };
    let header = header.for_protocol(protocol);
    let max = protocol.max_message_len;
    let check_len = |part, len| {
        if len > max {
            return Err(PlanError::TooLong { part, len, protocol: protocol.title, max });
        }
        Ok(())
    };
    let payload = match &settings.content {
        Content::Message(text) if text.is_empty() && !protocol.allows_empty_message => {
            return Err(PlanError::EmptyMessage { protocol: protocol.title });
        }
        Content::Message(text) => Payload::of_text(text, Numbering::Unnumbered, header, form, max),
        Content::Numbered(text) => Payload::of_text(text, Numbering::Numbered, header, form, max),
        Content::Sized(size) => {
            let size = size.unwrap_or(DEFAULT_REQUEST_LEN);
            let min = Payload::min_size(header);
            if size < min {
                let timed = header == HeaderContent::Timing;
                return Err(PlanError::TooShort { size, min, timed });
            }
            check_len(MessagePart::Request, size)?;
            Payload::of_size(size, header, form)
        }
    };
    check_len(MessagePart::Request, payload.request_len())?;
    check_len(MessagePart::Reply, payload.reply_len())?;
    Ok(payload)
}
