//! [`DiagnosisPlan`]: a target to diagnose.

use super::{Plan, PlanError, Settings};
use crate::model::target::Target;
use crate::protocol::registry::{PROTOCOLS, protocols_of};

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
            .map(|protocol| Plan::new(protocol, target.clone(), settings.applicable_to(protocol)))
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
            .map(|protocol| Plan::new(protocol, host.clone(), settings.applicable_to(protocol)));
        Ok(Self { host_checks: host_checks.collect::<Result<_, _>>()?, plans })
    }
}
