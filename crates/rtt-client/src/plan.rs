//! [`Plan`]: what to measure (pure: no I/O, no clock). A plan is validated when it is created, and never changes
//! afterwards.

mod comparison;
mod diagnosis;
mod error;
pub(crate) mod pacing;
pub(crate) mod payload;
mod requests;
mod settings;
mod shown_text;
#[cfg(test)]
mod tests;
mod trace;

pub use comparison::{
    ComparisonPlan, ComparisonSettings, DEFAULT_PAIRS, DEFAULT_PAIRS_DURATION, SWEEP_SIZES,
};
pub(crate) use comparison::{MAX_PAIRS, SizePlan};
pub use diagnosis::DiagnosisPlan;
pub use error::{MessagePart, PlanError};
pub use settings::{
    Content, CustomRequest, DEFAULT_HOST, DEFAULT_REQUEST_LEN, DEFAULT_TIMEOUT, EchoForm, Family,
    Lifetime, Settings,
};
pub(crate) use shown_text::ShownText;
pub use trace::{TracePlan, TraceSettings};

use crate::model::expected_server::ExpectedServer;
use crate::model::protocol::{Framing, Protocol};
use crate::model::service::Service;
use crate::model::target::Target;
use crate::plan::pacing::Pacing;
use crate::plan::payload::{MAX_REQUESTS, Payload, ServicePayload};
use requests::{payload, service_named};
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
    /// The predefined service, if the settings select one.
    pub(crate) service: Option<&'static Service>,
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
        let protocol = measured_protocol(protocol, &settings)?;
        check_durations(&settings)?;
        if settings.count.is_some_and(|count| count == 0 || count > MAX_REQUESTS) {
            return Err(PlanError::CountOutOfRange { quantity: "--count", max: MAX_REQUESTS });
        }
        let pacing = match settings.rate {
            None => Pacing::AfterReply(settings.interval),
            Some(rate) => Pacing::FixedRate(check_rate(rate, &settings)?),
        };
        let service = match &settings.content {
            Content::Service(name) => Some(service_named(name, protocol)?),
            _ => None,
        };
        let payload = payload(protocol, &target, &settings)?;
        let mut plan = Self { protocol, target, settings, service, payload, pacing };
        plan.apply_service_rules()?;
        Ok(plan)
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

    /// The server whose replies are correct.
    #[must_use]
    pub fn expected_server(&self) -> ExpectedServer {
        match (&self.payload, self.service) {
            (Payload::Echo(_), _) => ExpectedServer::without_service(self.protocol),
            (Payload::Service(_), Some(service)) => ExpectedServer::Service(service),
            (Payload::Service(_), None) => ExpectedServer::Request,
        }
    }

    /// Whether the server sends first, after the client has connected.
    pub(crate) fn server_sends_first(&self) -> bool {
        self.payload.service().is_some_and(ServicePayload::server_sends_first)
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
        let of_service = self.service.map(|service| service.port);
        self.target.port.or(of_service).or(self.protocol.default_port)
    }

    /// Checks the settings of a run with a service. If the server sends first, each exchange needs a new connection. So
    /// this function changes the lifetime of connections.
    fn apply_service_rules(&mut self) -> Result<(), PlanError> {
        let Payload::Service(service) = &self.payload else { return Ok(()) };
        let is_scheduled = !self.pacing.waits_for_replies();
        if service.server_sends_first() {
            if is_scheduled {
                return Err(PlanError::GreetingAtFixedRate);
            }
            if self.settings.breakdown {
                return Err(PlanError::GreetingWithBreakdown);
            }
            self.settings.lifetime = Lifetime::Each;
        }
        if is_scheduled && self.protocol.framing == Framing::Stream && !service.has_reply_end() {
            return Err(PlanError::NoReplyEndAtFixedRate { protocol: self.protocol.title });
        }
        if let Some(max) = service.max_in_flight()
            && self.max_in_flight() > max
        {
            return Err(PlanError::TooFewIdentifiers { max });
        }
        Ok(())
    }

    /// Whether the plan is a single exchange whose times are the result: an exchange of the user's message, an exchange
    /// with a service, or a handshake.
    pub(crate) fn is_single_exchange(&self) -> bool {
        match self.settings.content {
            Content::Message(_) => true,
            Content::Request(_) | Content::Service(_) | Content::Handshake => {
                self.settings.count == Some(1)
            }
            Content::Numbered(_) | Content::Sized(_) => false,
        }
    }

    /// The part of a reply that reports show. Absent if they show none.
    pub(crate) fn shown_text(&self) -> Option<ShownText> {
        let has_message =
            matches!(self.settings.content, Content::Message(_) | Content::Numbered(_));
        match &self.payload {
            Payload::Echo(echo) => has_message.then(|| ShownText::After(echo.text_offset())),
            Payload::Service(_) => self.is_single_exchange().then_some(ShownText::FirstLine),
        }
    }

    /// The same plan with kernel timestamps.
    ///
    /// # Errors
    ///
    /// If the requests are too short for the timing header, or if the exchanges have no request packets.
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
        && other.name != protocol.name
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

/// The facts about the exchanges that the settings select: exchanges of messages, or handshakes alone.
fn measured_protocol(
    protocol: &'static Protocol,
    settings: &Settings,
) -> Result<&'static Protocol, PlanError> {
    if !matches!(settings.content, Content::Handshake) {
        return Ok(protocol);
    }
    if settings.breakdown {
        return Err(PlanError::HandshakeWithBreakdown);
    }
    if settings.lifetime == Lifetime::Each {
        return Err(PlanError::HandshakeWithLifetime);
    }
    if protocol.is_handshake() {
        return Ok(protocol);
    }
    protocol.handshake.ok_or(PlanError::HasNoHandshake { protocol: protocol.title })
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
