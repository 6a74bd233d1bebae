//! [`ComparisonPlan`]: the two targets of a comparison, and its settings.

use super::{Content, Lifetime, Plan, PlanError, Settings};
use crate::model::protocol::Protocol;
use crate::model::target::Target;
use crate::plan::payload::EchoPayload;
use crate::protocol::registry::{PROTOCOLS, default_pair, protocols_with_servers};
use std::time::Duration;

/// The default number of pairs. It applies if the settings contain no number of pairs and no duration.
pub const DEFAULT_PAIRS: u64 = 2000;

/// The default duration of a comparison with the interval 0. It applies if the settings contain no number of pairs and
/// no duration.
pub const DEFAULT_PAIRS_DURATION: Duration = Duration::from_secs(4);

/// The largest number of pairs. They take 160 MiB of memory.
pub(crate) const MAX_PAIRS: u64 = 1 << 22;

/// The lowest and the highest confidence level, as fractions.
const MIN_CONFIDENCE: f64 = 0.5;
const MAX_CONFIDENCE: f64 = 0.9999;

/// The request sizes of a sweep, in bytes. The smallest size has enough bytes for the number of a request. The largest
/// size is the payload of the longest datagram over IPv4: 65,535 bytes without the IP header (20 bytes) and a header of
/// 8 bytes.
pub const SWEEP_SIZES: [usize; 8] = [16, 64, 256, 1024, 4096, 16_384, 32_768, 65_507];

/// Everything that a caller can choose for a comparison, except the two targets.
#[derive(Debug, Clone)]
pub struct ComparisonSettings {
    /// The settings of each side. The comparison sets the count, duration, rate and lifetime itself; these values
    /// are ignored.
    pub each: Settings,
    /// The number of pairs. If this and `duration` are both `None`, the number is [`DEFAULT_PAIRS`].
    pub pairs: Option<u64>,
    /// The comparison stops measuring pairs after this time.
    pub duration: Option<Duration>,
    /// The seed of the random order within the pairs.
    pub seed: u64,
    /// The confidence level of the intervals, as a fraction.
    pub confidence: f64,
    /// Whether to compare other request sizes too.
    pub sweep: bool,
}

/// A comparison of two targets.
#[derive(Debug, Clone)]
pub struct ComparisonPlan {
    /// The plans of A and B.
    pub(crate) sides: [Plan; 2],
    /// The request sizes of the sweep. Empty without a sweep.
    pub(crate) sweep: Vec<SizePlan>,
    pub(crate) pairs: u64,
    pub(crate) duration: Option<Duration>,
    pub(crate) seed: u64,
    pub(crate) confidence: f64,
}

/// One request size of a sweep.
#[derive(Debug, Clone)]
pub(crate) struct SizePlan {
    /// The size of a request, in bytes.
    pub(crate) bytes: usize,
    /// The plans of A and B.
    pub(crate) sides: [Plan; 2],
}

impl ComparisonPlan {
    /// Creates a plan for the comparison of `a` and `b`.
    ///
    /// In a target without a protocol, a default port selects the protocol. Otherwise, A uses the first protocol
    /// with a server program, and B uses the second one. Without `b`, B has the host of A, and the
    /// first protocol with a server program that A does not use.
    ///
    /// For a service or for handshakes, only the protocols that have them count. If there is one such protocol, both targets
    /// use it, and without `b`, B uses the first protocol to which the kernel of the host replies.
    ///
    /// # Errors
    ///
    /// If a protocol cannot carry the messages, if the selected request applies to neither side, or if a setting is out of
    /// range.
    pub fn new(
        a: &Target,
        b: Option<&Target>,
        settings: &ComparisonSettings,
    ) -> Result<Self, PlanError> {
        let ComparisonSettings { ref each, pairs, duration, seed, confidence, sweep } = *settings;
        if !(MIN_CONFIDENCE..=MAX_CONFIDENCE).contains(&confidence) {
            let (min, max) = (100.0 * MIN_CONFIDENCE, 100.0 * MAX_CONFIDENCE);
            return Err(PlanError::InvalidConfidence { min, max });
        }
        if pairs.is_some_and(|pairs| pairs == 0 || pairs > MAX_PAIRS) {
            return Err(PlanError::CountOutOfRange { quantity: "--count", max: MAX_PAIRS });
        }
        if sweep && !each.content.is_echo() {
            return Err(PlanError::SweepWithoutEcho);
        }
        let [default_a, default_b] = default_protocols(&each.content);
        let protocol_a = protocol_of(a).unwrap_or(default_a);
        let b = b.cloned().unwrap_or_else(|| other_side(a, protocol_a, &each.content));
        let protocol_b = protocol_of(&b).unwrap_or(default_b);
        let each = Settings {
            count: None,
            duration,
            rate: None,
            lifetime: Lifetime::Keep,
            // Both sides must send the same bytes.
            locate_losses: false,
            ..each.clone()
        };
        let protocols = [protocol_a, protocol_b];
        let plans = |each: &Settings| -> Result<[Plan; 2], PlanError> {
            let plan = |protocol, target: &Target, each: &Settings| {
                Plan::new(protocol, target.clone(), each.applicable_to(protocol, &protocols))
            };
            let sides = [plan(protocol_a, a, each)?, plan(protocol_b, &b, each)?];
            // The sides should have requests of the same length, because the length is a part of the RTT.
            let of_service = sides.iter().find(|side| side.payload.service().is_some());
            let Some(len) = of_service.map(|side| side.payload.request_len()) else {
                return Ok(sides);
            };
            let len = len.max(EchoPayload::MIN_SIZE_WITH_TOKEN);
            let with_size = Settings { content: Content::Sized(Some(len)), ..each.clone() };
            let [plan_a, plan_b] = sides;
            let resized = |side: Plan, target: &Target| {
                let is_service = side.payload.service().is_some();
                if is_service { Ok(side) } else { plan(side.protocol, target, &with_size) }
            };
            Ok([resized(plan_a, a)?, resized(plan_b, &b)?])
        };
        let plans_of_size = |bytes| {
            let content = Content::Sized(Some(bytes));
            Ok(SizePlan { bytes, sides: plans(&Settings { content, ..each.clone() })? })
        };
        let max_len = protocol_a.max_message_len.min(protocol_b.max_message_len);
        let sweep = SWEEP_SIZES
            .into_iter()
            .filter(|bytes| sweep && *bytes <= max_len)
            .map(plans_of_size)
            .collect::<Result<_, PlanError>>()?;
        let has_no_limit = pairs.is_none() && duration.is_none();
        // With a pause between the pairs, the default number of pairs takes longer than the default duration.
        let default_duration =
            (has_no_limit && each.interval.is_zero()).then_some(DEFAULT_PAIRS_DURATION);
        Ok(Self {
            sides: plans(&each)?,
            sweep,
            pairs: pairs.unwrap_or(if has_no_limit { DEFAULT_PAIRS } else { MAX_PAIRS }),
            duration: duration.or(default_duration),
            seed,
            confidence,
        })
    }

    /// The plans of side A and side B.
    #[must_use]
    pub fn sides(&self) -> &[Plan; 2] {
        &self.sides
    }

    /// The largest number of pairs that the comparison measures.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The comparison stops measuring pairs after this time. `None` if only the number of pairs limits the comparison.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// The seed of the random order within the pairs.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The confidence level of the intervals, as a fraction.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.confidence
    }
}

/// The protocols of A and B if the targets do not select them.
fn default_protocols(content: &Content) -> [&'static Protocol; 2] {
    let mut available =
        protocols_with_servers().filter(|protocol| content.is_available_over(protocol));
    match [available.next(), available.next()] {
        [Some(first), second] => [first, second.unwrap_or(first)],
        // `Plan::new` returns the error.
        [None, _] => default_pair(),
    }
}

/// The protocol in the target. Without a protocol in the target, its port selects the protocol with this default port.
fn protocol_of(target: &Target) -> Option<&'static Protocol> {
    let by_port = |port| PROTOCOLS.iter().find(|protocol| protocol.default_port == Some(port));
    target.protocol.or_else(|| by_port(target.port?))
}

/// A target with the same host and another protocol than `protocol`: a protocol with this content, or one to which the
/// kernel of the host replies. The result has no port if `target` is a URL or has the default port of `protocol`. Any other
/// port stays the same.
fn other_side(target: &Target, protocol: &Protocol, content: &Content) -> Target {
    let other = protocols_with_servers()
        .find(|other| *other != protocol && content.is_available_over(other))
        .or_else(|| PROTOCOLS.iter().find(|other| !other.needs_server_program()));
    let port_is_shared = target.protocol.is_none()
        && target.port != protocol.default_port
        && other.is_some_and(Protocol::has_ports);
    Target { protocol: other, port: target.port.filter(|_| port_is_shared), ..target.clone() }
}
