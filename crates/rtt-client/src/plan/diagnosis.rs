//! [`DiagnosisPlan`]: where to look, validated and from then on unchanged.

use crate::model::protocol::Protocol;
use crate::model::target::Target;
use crate::plan::{Plan, PlanError, Settings};
use crate::protocol::registry::PROTOCOLS;

/// What is to be looked at.
#[derive(Debug, Clone)]
pub struct DiagnosisPlan {
    /// A plan for each protocol.
    pub(crate) plans: Vec<Plan>,
}

impl DiagnosisPlan {
    /// To look at `target` over its protocol, or over all of them.
    ///
    /// # Errors
    ///
    /// What makes no sense.
    pub fn new(target: &Target, settings: &Settings) -> Result<Self, PlanError> {
        let wanted =
            |protocol: &&'static Protocol| target.protocol.is_none_or(|only| only == *protocol);
        let protocols = PROTOCOLS.iter().filter(|protocol| wanted(protocol));
        let plans = protocols.map(|protocol| Plan::new(protocol, target.clone(), settings.clone()));
        Ok(Self { plans: plans.collect::<Result<_, _>>()? })
    }
}
