//! [`ComparisonPlan`]: what a comparison is to measure, validated and from then on unchanged.

use crate::model::target::Target;
use crate::plan::{Content, Lifetime, Plan, PlanError, Settings};
use crate::protocol::registry::PROTOCOLS;
use std::time::Duration;

/// How many pairs there are at most where nothing is said, and how long they may take then.
const USUAL_PAIRS: u64 = 2000;
const USUAL_DURATION: Duration = Duration::from_secs(4);

/// The most pairs that are kept: 160 MiB of them.
pub(crate) const MAX_PAIRS: u64 = 1 << 22;

/// The sizes of a sweep, in bytes: from the smallest that bears a number, by fours, to what one datagram
/// can carry.
const SIZES: [usize; 8] = [16, 64, 256, 1024, 4096, 16_384, 32_768, 65_507];

/// What can be asked of a comparison beside its two targets. What of `each` concerns the course of a
/// series is the comparison's own to say.
#[derive(Debug, Clone)]
pub struct ComparisonSettings {
    /// How each side is measured.
    pub each: Settings,
    /// How many pairs; without it and a duration, as many as are usual.
    pub pairs: Option<u64>,
    /// For how long pairs are made.
    pub duration: Option<Duration>,
    /// Which random order the sides of the pairs have.
    pub seed: u64,
    /// How sure the interval is to be, between 0 and 1.
    pub confidence: f64,
    /// Whether other sizes are to be tried as well.
    pub sweep: bool,
}

/// A comparison that can be carried out.
#[derive(Debug, Clone)]
pub struct ComparisonPlan {
    /// A's plan and B's.
    pub(crate) sides: [Plan; 2],
    /// The same for each size of a sweep.
    pub(crate) sizes: Vec<(usize, [Plan; 2])>,
    pub(crate) pairs: u64,
    pub(crate) duration: Option<Duration>,
    pub(crate) seed: u64,
    pub(crate) confidence: f64,
}

impl ComparisonPlan {
    /// A comparison of A and B, if it can be carried out. A target that names no protocol is the first
    /// one's that there is for A, and the next one's for B. Without B it is A's host over the other
    /// protocol.
    ///
    /// # Errors
    ///
    /// What a protocol can't carry, or makes no sense.
    pub fn new(
        a: &Target,
        b: Option<&Target>,
        settings: &ComparisonSettings,
    ) -> Result<Self, PlanError> {
        let ComparisonSettings { ref each, pairs, duration, seed, confidence, sweep } = *settings;
        if !(0.5..=0.9999).contains(&confidence) {
            return Err(PlanError::InvalidConfidence);
        }
        if pairs.is_some_and(|pairs| pairs == 0 || pairs > MAX_PAIRS) {
            return Err(PlanError::OutOfBounds("a count of pairs", "4194304"));
        }
        let b = b.cloned().unwrap_or_else(|| over_another(a));
        let of_a = a.protocol.unwrap_or(&PROTOCOLS[0]);
        let of_b = b.protocol.unwrap_or(&PROTOCOLS[1]);
        let each = Settings {
            count: None,
            duration,
            rate: None,
            lifetime: Lifetime::Keep,
            ..each.clone()
        };
        let plans = |content: &Content| -> Result<[Plan; 2], PlanError> {
            let settings = Settings { content: content.clone(), ..each.clone() };
            Ok([
                Plan::new(of_a, a.clone(), settings.clone())?,
                Plan::new(of_b, b.clone(), settings)?,
            ])
        };
        let longest = of_a.max_message_len.min(of_b.max_message_len);
        let sizes = SIZES.into_iter().filter(|size| sweep && *size <= longest);
        let sizes = sizes
            .map(|size| Ok((size, plans(&Content::Sized(Some(size)))?)))
            .collect::<Result<_, PlanError>>()?;
        let interval = settings.each.interval;
        let unsaid = pairs.is_none() && duration.is_none();
        Ok(Self {
            sides: plans(&each.content)?,
            sizes,
            pairs: pairs.unwrap_or(if unsaid { USUAL_PAIRS } else { MAX_PAIRS }),
            // Whoever wants them apart has the time.
            duration: duration.or((unsaid && interval.is_zero()).then_some(USUAL_DURATION)),
            seed,
            confidence,
        })
    }
}

/// The same host over another protocol, on that one's port unless both have been given one.
fn over_another(target: &Target) -> Target {
    match target.protocol {
        None => target.clone(),
        Some(mine) => Target {
            protocol: PROTOCOLS.iter().find(|other| *other != mine),
            port: None,
            ..target.clone()
        },
    }
}
