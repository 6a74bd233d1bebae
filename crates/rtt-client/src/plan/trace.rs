//! [`TracePlan`]: what is to be traced, validated and from then on unchanged.

use super::MAX_WAIT;
use crate::model::target::Target;
use crate::plan::{Content, Plan, PlanError, Settings};
use crate::protocol::registry::PROTOCOLS;

/// The most exchanges with each target: more than anybody reads.
const MOST: u64 = 1000;

/// What is sent where there is one exchange.
const MESSAGE: &str = "hello, world";

/// What is to be traced.
#[derive(Debug, Clone)]
pub struct TracePlan {
    /// A plan for each target and protocol.
    pub(crate) plans: Vec<Plan>,
    /// How many exchanges with each.
    pub(crate) count: u64,
}

impl TracePlan {
    /// `count` exchanges, of `size` bytes or of a short message, with each of `targets`, over its protocol or over all of them; without a target, over
    /// all of them with this host.
    ///
    /// # Errors
    ///
    /// What makes no sense.
    pub fn new(
        targets: &[Target],
        count: u64,
        size: Option<usize>,
        settings: &Settings,
    ) -> Result<Self, PlanError> {
        if count == 0 || count > MOST {
            return Err(PlanError::OutOfBounds("a count", "1000"));
        }
        // A capture goes on for so long.
        let rests =
            u32::try_from(count).ok().and_then(|count| settings.interval.checked_mul(count));
        if rests.is_none_or(|rests| rests > MAX_WAIT) {
            return Err(PlanError::OutOfBounds("the rests together", "an hour"));
        }
        let here = Target { protocol: None, host: "127.0.0.1".into(), port: None };
        let targets = if targets.is_empty() { std::slice::from_ref(&here) } else { targets };
        let content = match (size, count) {
            (Some(_), _) => Content::Sized(size),
            (None, 1) => Content::Message(MESSAGE.into()),
            (None, _) => Content::Numbered(MESSAGE.into()),
        };
        let settings =
            Settings { content, count: None, duration: None, rate: None, ..settings.clone() };
        let mut plans = Vec::new();
        for target in targets {
            let wanted = |protocol: &&'static crate::model::protocol::Protocol| {
                target.protocol.is_none_or(|only| only == *protocol)
            };
            for protocol in PROTOCOLS.iter().filter(wanted) {
                plans.push(Plan::new(protocol, target.clone(), settings.clone())?);
            }
        }
        Ok(Self { plans, count })
    }
}
