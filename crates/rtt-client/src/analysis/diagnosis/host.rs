//! Whether the target's host is up: the conclusion from the findings about one address.
//!
//! A server program can be down while its host is up. The kernel of a host replies to some protocols without a server
//! program (see [`Responder::Kernel`](crate::Responder::Kernel)). This reply, or its absence, together with the findings
//! about the services, separates the two cases.

mod absence;
#[cfg(test)]
mod tests;

use super::{Finding, ProbeResult};
use crate::model::condition::Condition;
use crate::model::expected_server::ExpectedServer;
use crate::model::format::{duration, joined};
use crate::model::icmp::Origin;
use crate::model::protocol::{DisplayAddress, Protocol};
use absence::Absence;
use std::net::{IpAddr, SocketAddr};

/// The conclusion about one host.
#[derive(Debug)]
pub struct HostFinding {
    /// The address of the host.
    pub address: DisplayAddress,
    /// The probed services.
    pub services: Vec<Service>,
    /// The results of the protocols to which the kernel of the host replies.
    pub checks: Vec<HostCheck>,
    /// The conclusion from all findings about the address.
    pub state: HostState,
    expected: ExpectedServer,
    evidence: Evidence,
    /// The findings about the services if none of them answers.
    absence: Absence,
}

/// A service of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// Whether the expected server answers.
    pub is_answering: bool,
}

/// One check of the host.
#[derive(Debug)]
pub enum HostCheck {
    /// The result of the check.
    Finding(Box<Finding>),
    /// This system did not permit the check.
    NotPossible {
        /// The protocol.
        protocol: &'static Protocol,
        /// The reason.
        reason: String,
    },
}

/// The state of a host and of its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// The host is up, and the expected server answers.
    ServiceUp,
    /// The expected server answers, but the kernel of the host does not reply.
    ServiceUpChecksUnanswered,
    /// The host is up, but the expected server does not answer.
    ServiceDown,
    /// The host is not reachable from the last router, or from this host on the same link.
    HostDown,
    /// No evidence shows whether the host is up.
    Unknown,
}

/// The strongest evidence about the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// The expected server answers.
    CorrectReply,
    /// A service accepted a connection or sent an answer.
    AnswerOfService,
    /// The kernel replied to a check.
    KernelReply,
    /// A packet with the address of the host arrived. A firewall can use this address, too.
    Packet,
    /// A router reports that it cannot reach the host.
    ErrorOfRouter,
    /// The host has not answered the address resolution of this host.
    NoAddressResolution,
    /// None.
    None,
}

impl HostFinding {
    /// Draws the conclusion from the findings about the `services` of a host and from the `checks` of the host.
    #[must_use]
    pub fn new(address: SocketAddr, services: &[&Finding], checks: Vec<HostCheck>) -> Self {
        let evidence = Evidence::of(address.ip(), services, &checks);
        let service = |finding: &&Finding| Service {
            protocol: finding.protocol,
            is_answering: is_answering(finding),
        };
        Self {
            address: DisplayAddress::without_port(address),
            services: services.iter().map(service).collect(),
            state: evidence.state(&checks),
            expected: services.first().map_or(ExpectedServer::Echo, |finding| finding.expected),
            evidence,
            absence: Absence::of(services),
            checks,
        }
    }

    /// The state in a heading.
    #[must_use]
    pub fn headline(&self) -> String {
        let services = self.services_that_differ().map(|[answering, silent]| {
            let does = if silent.len() == 1 { "does" } else { "do" };
            let answer = if answering.len() == 1 { "answers" } else { "answer" };
            let (answering, silent) = (joined(&answering, "and"), joined(&silent, "and"));
            format!("; {answering} {answer}, {silent} {does} not")
        });
        match (self.state, services) {
            (HostState::ServiceUp, None) => "up, service up".to_owned(),
            (HostState::ServiceUp, Some(services)) => format!("up{services}"),
            (HostState::ServiceUpChecksUnanswered, None) => {
                "up, service up, host check not answered".to_owned()
            }
            (HostState::ServiceUpChecksUnanswered, Some(services)) => {
                format!("up{services}; host check not answered")
            }
            (HostState::ServiceDown, _) => match &self.absence {
                Absence::OtherProgram(_) => {
                    format!("up, {}", self.expected.has_no_correct_reply())
                }
                Absence::OtherAddress(_) => {
                    format!("up, {} uses another address", self.expected.subject())
                }
                Absence::NotSent => "up, services not checked".to_owned(),
                Absence::Silent(_) => "up, no reply from the service".to_owned(),
                Absence::Unanswered => "up, service down".to_owned(),
            },
            (HostState::HostDown, _) => "not reachable: down, or the link to it is down".to_owned(),
            (HostState::Unknown, _) => "not known".to_owned(),
        }
    }

    /// The meaning of the state, in one sentence for the user.
    #[must_use]
    pub fn meaning(&self) -> String {
        let over = self.services_that_differ().map_or_else(String::new, |[answering, silent]| {
            format!(" over {}, but not over {}", joined(&answering, "and"), joined(&silent, "or"))
        });
        let (server, no_server) = (self.expected.answers(), self.expected.does_not_answer());
        let absence = || self.absence.meaning(self.expected);
        match self.evidence {
            Evidence::CorrectReply if self.state == HostState::ServiceUp => {
                format!("the host is up, and {server}{over}")
            }
            Evidence::CorrectReply => format!(
                "the host is up, because {server}{over}; the client received no reply to {}; the \
                 host or a firewall possibly drops these packets",
                joined(&self.checks_with(|_| true), "or")
            ),
            Evidence::AnswerOfService => format!("the host is up; {}", absence()),
            Evidence::KernelReply => format!(
                "the host is up, because its kernel answers {}; {}",
                joined(&self.checks_with(is_answering), "and"),
                absence()
            ),
            Evidence::Packet => format!(
                "the host is up, because a packet with its address arrived (a firewall can use this address); but \
                 {no_server}"
            ),
            Evidence::ErrorOfRouter => {
                "a router reports that it cannot reach the host: the host is down, or the link to it is down; a \
                 firewall can send the same error"
                    .to_owned()
            }
            Evidence::NoAddressResolution => {
                "on this host's own link, the host does not answer the address resolution (ARP or neighbour \
                 discovery): it is down, or the link to it is down"
                    .to_owned()
            }
            Evidence::None => {
                "no packet from the host arrived, so it is not known whether the host is up"
                    .to_owned()
            }
        }
    }

    /// The titles of the protocols over which the expected server answers, and of the other protocols. `None` if one of the
    /// two lists is empty.
    fn services_that_differ(&self) -> Option<[Vec<&'static str>; 2]> {
        let lists = [true, false].map(|is_answering| {
            let services = self.services.iter();
            let services = services.filter(|service| service.is_answering == is_answering);
            services.map(|service| service.protocol.title).collect::<Vec<_>>()
        });
        lists.iter().all(|list| !list.is_empty()).then_some(lists)
    }

    /// The titles of the protocols of the checks whose finding fulfils `condition`.
    fn checks_with(&self, condition: fn(&Finding) -> bool) -> Vec<&'static str> {
        let findings = findings(&self.checks).filter(|finding| condition(finding));
        findings.map(|finding| finding.protocol.title).collect()
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
}

impl Evidence {
    fn of(host: IpAddr, services: &[&Finding], checks: &[HostCheck]) -> Self {
        let all = || services.iter().copied().chain(findings(checks));
        let any_service = |condition: fn(&Finding) -> bool| services.iter().any(|it| condition(it));
        if any_service(is_answering) {
            return Self::CorrectReply;
        }
        if any_service(is_answer_of_service) {
            return Self::AnswerOfService;
        }
        if findings(checks).any(is_answering) {
            return Self::KernelReply;
        }
        if all().any(is_packet_from_host) {
            return Self::Packet;
        }
        // One silent probe does not contradict the error of another probe: a router can limit its rate of errors.
        let mut strongest = Self::None;
        for finding in all().filter(|finding| finding.condition() != Condition::Silent) {
            let is_down = Self::that_host_is_down(host, finding);
            match (is_down, strongest) {
                (Self::None, _) => return Self::None,
                (_, Self::NoAddressResolution) => {}
                _ => strongest = is_down,
            }
        }
        strongest
    }

    /// The evidence in one finding that the host is down. It is no evidence if a router discarded the packet, or if this
    /// host did not send it because of its own routes.
    fn that_host_is_down(host: IpAddr, finding: &Finding) -> Self {
        let next_hop = finding.unresolved_next_hop.map(|next_hop| next_hop.to_canonical());
        if next_hop == Some(host.to_canonical()) {
            return Self::NoAddressResolution;
        }
        match finding.icmp() {
            Some(icmp)
                if icmp.is_host_unreachable()
                    && icmp.from.is_some()
                    && !finding.is_error_of_this_host() =>
            {
                Self::ErrorOfRouter
            }
            _ => Self::None,
        }
    }

    fn state(self, checks: &[HostCheck]) -> HostState {
        match self {
            Self::CorrectReply => {
                let has_check = findings(checks).next().is_some();
                if has_check && !findings(checks).any(is_answering) {
                    HostState::ServiceUpChecksUnanswered
                } else {
                    HostState::ServiceUp
                }
            }
            Self::AnswerOfService | Self::KernelReply | Self::Packet => HostState::ServiceDown,
            Self::ErrorOfRouter | Self::NoAddressResolution => HostState::HostDown,
            Self::None => HostState::Unknown,
        }
    }
}

fn findings(checks: &[HostCheck]) -> impl Iterator<Item = &Finding> {
    checks.iter().filter_map(|check| match check {
        HostCheck::Finding(finding) => Some(&**finding),
        HostCheck::NotPossible { .. } => None,
    })
}

fn is_answering(finding: &Finding) -> bool {
    finding.condition() == Condition::Answering
}

/// Whether a service accepted a connection or sent an answer.
fn is_answer_of_service(finding: &Finding) -> bool {
    finding.connect_duration.is_some() || matches!(finding.result, ProbeResult::WrongAnswer { .. })
}

/// Whether a packet with the address of the host arrived. A firewall can use the address of the host, so an error is
/// weaker evidence than a reply.
fn is_packet_from_host(finding: &Finding) -> bool {
    match finding.failure().and_then(|failure| failure.origin) {
        Some(Origin::Peer) => true,
        Some(Origin::Icmp(_)) => finding.icmp_is_from_target(),
        Some(Origin::ThisHost | Origin::Unknown) | None => is_answer_of_service(finding),
    }
}

impl HostCheck {
    /// The protocol of the check.
    #[must_use]
    pub fn protocol(&self) -> &'static Protocol {
        match self {
            Self::Finding(finding) => finding.protocol,
            Self::NotPossible { protocol, .. } => protocol,
        }
    }

    /// The result of the check, for the user: `ICMP: a reply after 0.120 ms`.
    #[must_use]
    pub fn describe(&self) -> String {
        let title = self.protocol().title;
        match self {
            Self::NotPossible { reason, .. } => format!("{title}: not possible: {reason}"),
            Self::Finding(finding) => {
                let after = duration(finding.after());
                match &finding.result {
                    ProbeResult::Echo { .. } | ProbeResult::Service { .. } => {
                        format!("{title}: a reply after {after}")
                    }
                    _ => format!("{title}: {} after {after}", finding.condition()),
                }
            }
        }
    }
}
