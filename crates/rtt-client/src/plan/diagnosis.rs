//! [`DiagnosisPlan`]: a target to diagnose.

use super::{Plan, PlanError, Settings};
use crate::model::protocol::Protocol;
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
    /// with a server program, and with the selected service or with handshakes.
    ///
    /// # Errors
    ///
    /// If a setting is out of range, or if no protocol can carry the selected request.
    pub fn new(target: &Target, settings: &Settings) -> Result<Self, PlanError> {
        // A diagnosis of a service or of handshakes contains only the protocols that have them. If no protocol has them,
        // `Plan::new` returns the error.
        let mut protocols: Vec<&Protocol> = protocols_of(target).collect();
        if protocols.iter().any(|protocol| settings.content.is_available_over(protocol)) {
            protocols.retain(|protocol| settings.content.is_available_over(protocol));
        }
        let plans: Vec<Plan> = protocols
            .iter()
            .map(|protocol| {
                let settings = settings.applicable_to(protocol, &protocols);
                Plan::new(protocol, target.clone(), settings)
            })
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
            .map(|protocol| {
                let settings = settings.applicable_to(protocol, &protocols);
                Plan::new(protocol, host.clone(), settings)
            });
        Ok(Self { host_checks: host_checks.collect::<Result<_, _>>()?, plans })
    }
}
