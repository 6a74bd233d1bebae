//! Whether the target's host is up: the conclusion from the findings about one address.
//!
//! A server program can be down while its host is up. The kernel of a host replies to some protocols without a server
//! program (see [`Responder::Kernel`](crate::Responder::Kernel)). This reply, or its absence, together with the findings
//! about the services, separates the two cases.

use super::{Finding, ProbeResult};
use crate::model::condition::Condition;
use crate::model::format::duration;
use crate::model::icmp::Origin;
use std::net::IpAddr;

/// The conclusion about one host.
#[derive(Debug)]
pub struct HostFinding {
    /// The address of the host.
    pub address: IpAddr,
    /// The results of the protocols to which the kernel of the host replies.
    pub checks: Vec<HostCheck>,
    /// The conclusion from all findings about the address.
    pub state: HostState,
}

/// One check of the host.
#[derive(Debug)]
pub enum HostCheck {
    /// The result of the check.
    Finding(Finding),
    /// The reason why this system did not permit the check.
    NotPossible(String),
}

/// The state of a host and of its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// The host is up, and an echo server answers.
    ServiceUp,
    /// An echo server answers, but the kernel of the host does not reply.
    ServiceUpChecksUnanswered,
    /// The host is up, but no echo server answers.
    ServiceDown,
    /// No packet reaches the host.
    HostDown,
    /// No evidence shows whether the host is up.
    Unknown,
}

impl HostFinding {
    /// Draws the conclusion from the findings about the `services` of a host and from the `checks` of the host.
    #[must_use]
    pub fn new(address: IpAddr, services: &[&Finding], checks: Vec<HostCheck>) -> Self {
        let state = HostState::of(services, &checks);
        Self { address, checks, state }
    }

    /// The meaning of the state, in one sentence for the user.
    #[must_use]
    pub fn meaning(&self) -> String {
        let names = self.check_names();
        match self.state {
            HostState::ServiceUp => "the host is up, and an echo server answers".to_owned(),
            HostState::ServiceUpChecksUnanswered => format!(
                "the host is up, because an echo server answers; the host, or a firewall on the path, does not answer \
                 {names}"
            ),
            HostState::ServiceDown if self.has_reply() => format!(
                "the host is up, because its kernel answers {names}; so the service is down, or a firewall blocks its port"
            ),
            HostState::ServiceDown => {
                "the host is up, because it answers on the port; but no echo server answers"
                    .to_owned()
            }
            HostState::HostDown => {
                "no packet reaches the host: it is down, or the link to it is down".to_owned()
            }
            HostState::Unknown => {
                "no packet from the host arrived, so it is not known whether the host is up"
                    .to_owned()
            }
        }
    }

    /// Whether a kernel replied to a check.
    fn has_reply(&self) -> bool {
        findings(&self.checks).any(is_answering)
    }

    /// The titles of the protocols of the checks.
    fn check_names(&self) -> String {
        let titles: Vec<&str> =
            findings(&self.checks).map(|finding| finding.protocol.title).collect();
        titles.join(" or ")
    }
}

impl HostState {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceUp => "service-up",
            Self::ServiceUpChecksUnanswered => "service-up-host-check-unanswered",
            Self::ServiceDown => "host-up-service-down",
            Self::HostDown => "host-down",
            Self::Unknown => "unknown",
        }
    }

    /// The state in a heading.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ServiceUp => "up, service up",
            Self::ServiceUpChecksUnanswered => "up, service up, host check not answered",
            Self::ServiceDown => "up, service down",
            Self::HostDown => "down",
            Self::Unknown => "not known",
        }
    }

    fn of(services: &[&Finding], checks: &[HostCheck]) -> Self {
        let has_check = findings(checks).next().is_some();
        let has_reply = findings(checks).any(is_answering);
        if services.iter().any(|finding| is_answering(finding)) {
            return if has_check && !has_reply {
                Self::ServiceUpChecksUnanswered
            } else {
                Self::ServiceUp
            };
        }
        let all = || services.iter().copied().chain(findings(checks));
        if all().any(shows_that_host_is_up) {
            return Self::ServiceDown;
        }
        // One silent probe does not contradict the error of another probe: a router can limit its rate of errors.
        let is_unreachable = |finding: &Finding| finding.condition() == Condition::HostUnreachable;
        let is_unreachable_or_silent =
            |finding: &Finding| is_unreachable(finding) || finding.condition() == Condition::Silent;
        if all().any(is_unreachable) && all().all(is_unreachable_or_silent) {
            Self::HostDown
        } else {
            Self::Unknown
        }
    }
}

fn findings(checks: &[HostCheck]) -> impl Iterator<Item = &Finding> {
    checks.iter().filter_map(|check| match check {
        HostCheck::Finding(finding) => Some(finding),
        HostCheck::NotPossible(_) => None,
    })
}

fn is_answering(finding: &Finding) -> bool {
    finding.condition() == Condition::Answering
}

/// Whether a packet with the address of the host arrived. A firewall can use the address of the host, so a refusal is
/// weaker evidence than a reply.
fn shows_that_host_is_up(finding: &Finding) -> bool {
    if finding.connect_duration.is_some() {
        return true;
    }
    match &finding.result {
        ProbeResult::Echo { .. } | ProbeResult::WrongAnswer { .. } => true,
        ProbeResult::NoAnswer(failure) => match failure.origin {
            Some(Origin::Peer) => true,
            Some(Origin::Icmp(_)) => {
                failure.condition == Condition::Refused && finding.icmp_is_from_target()
            }
            Some(Origin::ThisHost | Origin::Unknown) | None => false,
        },
    }
}

impl HostCheck {
    /// The result of the check, for the user: `ICMP replies after 0.120 ms`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::NotPossible(reason) => format!("not possible: {reason}"),
            Self::Finding(finding) => {
                let title = finding.protocol.title;
                let after = duration(finding.after());
                match &finding.result {
                    ProbeResult::Echo { .. } => format!("{title}: a reply after {after}"),
                    _ => format!("{title}: {} after {after}", finding.condition()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::Failure;
    use crate::model::icmp::IcmpError;
    use crate::protocol::registry::protocol_named;
    use std::time::Duration;

    const HOST: &str = "192.0.2.7:7";
    const TIME: Duration = Duration::from_millis(3);

    fn finding(result: ProbeResult) -> Finding {
        Finding {
            protocol: protocol_named("udp").unwrap(),
            target: HOST.to_owned(),
            address: Some(HOST.parse().unwrap()),
            icmp_from_this_host: false,
            connect_duration: None,
            sent: 1,
            result,
            unconnected: None,
        }
    }

    fn answers() -> Finding {
        finding(ProbeResult::Echo { rtt: TIME, is_ours: false })
    }

    fn fails(condition: Condition, origin: impl Into<Option<Origin>>) -> Finding {
        let origin = origin.into();
        finding(ProbeResult::NoAnswer(Failure { origin, ..Failure::new(condition, TIME) }))
    }

    fn silent() -> Finding {
        fails(Condition::Silent, None)
    }

    fn icmp(code: u8, from: &str) -> Origin {
        let from = Some(from.parse().unwrap());
        Origin::Icmp(IcmpError { is_v6: false, kind: 3, code, from })
    }

    fn state(service: &Finding, check: Option<Finding>) -> HostState {
        let checks = check.into_iter().map(HostCheck::Finding).collect();
        HostFinding::new("192.0.2.7".parse().unwrap(), &[service], checks).state
    }

    #[test]
    fn reply_of_the_kernel_separates_the_host_from_the_service() {
        for service in [silent(), fails(Condition::Prohibited, icmp(13, "192.0.2.254"))] {
            assert_eq!(state(&service, Some(answers())), HostState::ServiceDown);
            assert_eq!(state(&service, Some(silent())), HostState::Unknown);
            assert_eq!(state(&service, None), HostState::Unknown);
        }
        assert_eq!(state(&answers(), Some(answers())), HostState::ServiceUp);
        assert_eq!(state(&answers(), Some(silent())), HostState::ServiceUpChecksUnanswered);
        assert_eq!(state(&answers(), None), HostState::ServiceUp);
    }

    #[test]
    fn host_is_down_only_if_a_router_or_this_host_reports_it() {
        for origin in [icmp(1, "192.0.2.254"), Origin::ThisHost] {
            let unreachable = fails(Condition::HostUnreachable, origin);
            assert_eq!(state(&unreachable, Some(silent())), HostState::HostDown);
            assert_eq!(state(&silent(), Some(unreachable)), HostState::HostDown);
        }
        let no_route = fails(Condition::NoRoute, Origin::ThisHost);
        assert_eq!(state(&no_route, Some(silent())), HostState::Unknown);
    }

    #[test]
    fn refusal_shows_that_the_host_is_up_only_if_it_comes_from_the_host() {
        let refused = |origin: Origin| fails(Condition::Refused, origin);
        assert_eq!(state(&refused(Origin::Peer), None), HostState::ServiceDown);
        assert_eq!(state(&refused(icmp(3, "192.0.2.7")), None), HostState::ServiceDown);
        assert_eq!(state(&refused(icmp(3, "192.0.2.254")), None), HostState::Unknown);
        assert_eq!(state(&refused(Origin::Unknown), None), HostState::Unknown);
    }

    #[test]
    fn accepted_connection_shows_that_the_host_is_up() {
        let accepted = Finding { connect_duration: Some(TIME), ..silent() };
        assert_eq!(state(&accepted, Some(silent())), HostState::ServiceDown);
    }

    #[test]
    fn check_that_is_not_possible_is_not_a_missing_reply() {
        let checks = vec![HostCheck::NotPossible("no permission".to_owned())];
        let host = HostFinding::new("192.0.2.7".parse().unwrap(), &[&answers()], checks);
        assert_eq!(host.state, HostState::ServiceUp);
        assert_eq!(host.checks[0].describe(), "not possible: no permission");
    }
}
