//! [`DiagnosisPlan`]: a target to diagnose.

use super::{Plan, PlanError, Settings};
use crate::model::target::Target;
use crate::protocol::registry::protocols_of;

/// A target to diagnose.
#[derive(Debug, Clone)]
pub struct DiagnosisPlan {
    /// One plan for each protocol.
    pub(crate) plans: Vec<Plan>,
}

impl DiagnosisPlan {
    /// Creates a plan for the diagnosis of `target`, over its protocol or over all protocols.
    ///
    /// # Errors
    ///
    /// If a setting is out of range.
    pub fn new(target: &Target, settings: &Settings) -> Result<Self, PlanError> {
        let plans = protocols_of(target)
            .map(|protocol| Plan::new(protocol, target.clone(), settings.clone()));
        Ok(Self { plans: plans.collect::<Result<_, _>>()? })
    }
}
