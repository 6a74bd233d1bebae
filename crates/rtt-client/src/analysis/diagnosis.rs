//! The result of probing one address over one protocol, and its explanation.
//!
//! ```
//! use rtt_client::analysis::diagnosis::{Finding, ProbeResult};
//! use rtt_client::{Condition, Failure, Origin, protocol_named};
//! use std::time::Duration;
//!
//! // A TCP reset answered the connection request.
//! let failure = Failure {
//!     condition: Condition::Refused,
//!     error: None,
//!     after: Duration::from_micros(80),
//!     origin: Some(Origin::Peer),
//!     detail: None,
//! };
//! let finding = Finding {
//!     protocol: protocol_named("tcp").unwrap(),
//!     target: "192.0.2.1:12000".into(),
//!     address: Some("192.0.2.1:12000".parse().unwrap()),
//!     icmp_from_this_host: false,
//!     connect_duration: None,
//!     sent: 0,
//!     result: ProbeResult::NoAnswer(failure),
//!     unconnected: None,
//! };
//!
//! assert_eq!(finding.condition(), Condition::Refused);
//! let explanation = finding.explain();
//! assert!(explanation.meaning.contains("no process listens on the port"));
//! assert!(explanation.not_certain.contains("a firewall can use the host's address"));
//! assert!(explanation.next_step.starts_with("start a server"));
//! ```

mod host;
#[cfg(test)]
mod tests;

pub use host::{HostCheck, HostFinding, HostState};

use crate::model::condition::{Condition, Failure};
use crate::model::exchange::UnconnectedResult;
use crate::model::format::{counted, duration};
use crate::model::icmp::{IcmpError, Origin};
use crate::model::protocol::{Protocol, ReplyForm};
use crate::protocol::explanations::explanations_of;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The result of probing one address over one protocol.
#[derive(Debug)]
pub struct Finding {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The host and the port of the target.
    pub target: String,
    /// The address. Absent if the name look-up failed.
    pub address: Option<SocketAddr>,
    /// Whether an ICMP error arrived from an address of this host.
    pub icmp_from_this_host: bool,
    /// From the connection request until the connection was established. Absent if no connection was established.
    pub connect_duration: Option<Duration>,
    /// The number of requests that the client sent.
    pub sent: u32,
    /// The result of the probe.
    pub result: ProbeResult,
    /// The result with an unconnected socket. Absent if the protocol has no such sockets.
    pub unconnected: Option<UnconnectedResult>,
}

/// The result of a probe.
#[derive(Debug)]
pub enum ProbeResult {
    /// An echo server answers.
    Echo {
        /// The round-trip time.
        rtt: Duration,
        /// Whether the server supports our timing header.
        is_ours: bool,
    },
    /// The peer answers, but not as an echo server.
    WrongAnswer {
        /// The error in the answer.
        failure: Failure,
        /// The beginning of the answer.
        text: Bytes,
    },
    /// There is no answer.
    NoAnswer(Failure),
}

/// The explanation of a finding for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The meaning of the finding.
    pub meaning: String,
    /// A fact that the finding does not prove.
    pub not_certain: &'static str,
    /// An action that gives the user more information.
    pub next_step: String,
}

impl Finding {
    /// The condition of the target.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.failure().map_or(Condition::Answering, |failure| failure.condition)
    }

    /// The RTT, or the time until the client detected the failure.
    #[must_use]
    pub fn after(&self) -> Duration {
        match &self.result {
            ProbeResult::Echo { rtt, .. } => *rtt,
            ProbeResult::WrongAnswer { failure, .. } | ProbeResult::NoAnswer(failure) => {
                failure.after
            }
        }
    }

    /// The failure. Absent if an echo server answers.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match &self.result {
            ProbeResult::Echo { .. } => None,
            ProbeResult::WrongAnswer { failure, .. } | ProbeResult::NoAnswer(failure) => {
                Some(failure)
            }
        }
    }

    /// Explains the finding.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let specific = explanations_of(self.protocol).finding(self);
        specific.unwrap_or_else(|| self.explain_generically())
    }

    /// The explanation that is correct for every protocol. It depends only on facts about the protocol.
    pub(crate) fn explain_generically(&self) -> Explanation {
        match self.condition() {
            Condition::Answering => self.answering(),
            Condition::NameNotFound => explanation(
                "the client found no address for the name, so it sent nothing",
                "whether the name has an address in another network",
                "check the spelling; try an IP address, or the other IP version",
            ),
            Condition::NameLookupFailed => explanation(
                "the name look-up failed, so the address is unknown",
                "everything about the host: the client sent nothing to it",
                "try an IP address; check whether the name server in /etc/resolv.conf answers",
            ),
            Condition::NoRoute => self.no_route(),
            Condition::HostUnreachable => self.host_unreachable(),
            Condition::Refused => self.refused(),
            Condition::Prohibited => explanation(
                self.reporter("does not permit this packet"),
                "whether a server runs behind the firewall",
                "check the firewall's rules for this port and protocol; try the other protocol",
            ),
            Condition::Silent => self.silent(),
            Condition::Closed => explanation(
                "the peer accepts connections and closes them before the answer is complete",
                "which server it is: a proxy can accept connections for another server",
                "check whether the port is correct; read the server's log",
            ),
            Condition::Reset => explanation(
                "the connection was established, and a reset ended it before the answer was complete",
                "whether the server sent the reset: a firewall can send one with the server's address",
                "read the server's log; capture packets on both hosts",
            ),
            Condition::WrongAnswer => explanation(
                match self.protocol.reply_form {
                    ReplyForm::UpperCase => {
                        "a server answers, but not with the text in upper case, so it is another service"
                    }
                    ReplyForm::Unchanged => {
                        "a server answers, but not with the unchanged text, so it is another service"
                    }
                },
                "whether an echo server runs on another port",
                "check whether the port is correct; read the received text",
            ),
            Condition::PermissionDenied => explanation(
                "this host does not permit the packet, because of a firewall rule, a route of type `prohibit`, or a \
                 broadcast address",
                "everything about the target: the client sent nothing to it",
                "check this host's firewall rules and routes (`nft list ruleset`, `ip route get`)",
            ),
        }
    }

    fn answering(&self) -> Explanation {
        let meaning = match self.result {
            ProbeResult::Echo { is_ours: true, .. } => {
                "an echo server of this project answers; it reports its processing time for each request"
            }
            _ => "an echo server answers; it does not report its processing time",
        };
        explanation(
            meaning,
            "the typical RTT: one exchange is not enough to know it",
            format!("measure it: `rtt-client {} {} -c 100 -i 0`", self.protocol.name, self.target),
        )
    }

    /// Whether the address belongs to a group of hosts.
    pub(crate) fn is_group_address(&self) -> bool {
        self.address.is_some_and(|address| match address.ip() {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        })
    }

    fn origin(&self) -> Option<Origin> {
        self.failure()?.origin
    }

    /// The ICMP error, if it is the origin of the failure.
    pub(crate) fn icmp(&self) -> Option<IcmpError> {
        match self.origin()? {
            Origin::Icmp(icmp) => Some(icmp),
            _ => None,
        }
    }

    /// Whether an ICMP error arrived from the target's address.
    fn icmp_is_from_target(&self) -> bool {
        let from = self.icmp().and_then(|icmp| icmp.from);
        from.is_some() && from == self.address.map(|address| address.ip())
    }

    /// Builds a sentence about the reporter of the failure.
    fn reporter(&self, predicate: &str) -> String {
        match (self.origin(), self.icmp().and_then(|icmp| icmp.from)) {
            (Some(Origin::ThisHost), _) => format!("this host {predicate}"),
            (_, Some(_)) if self.icmp_from_this_host => format!("this host {predicate}"),
            (_, Some(from)) if self.icmp_is_from_target() => {
                format!("the target's host ({from}) {predicate}")
            }
            (_, Some(from)) => format!("{from}, a host on the path, {predicate}"),
            _ => format!("a host {predicate}; this system does not report which one"),
        }
    }

    fn no_route(&self) -> Explanation {
        if self.is_group_address() && self.protocol.has_connections() {
            return explanation(
                "the address belongs to a group of hosts, but a connection needs exactly one peer",
                "which hosts are members of the group",
                "use the address of one host",
            );
        }
        let has_no_zone = matches!(self.address, Some(SocketAddr::V6(address))
            if address.ip().is_unicast_link_local() && address.scope_id() == 0);
        if has_no_zone {
            return explanation(
                "the address is link-local, so it can exist on every link; the target does not name the link",
                "whether the host exists",
                "add the zone to the address: fe80::1%eth0",
            );
        }
        let by_this_host = self.icmp().is_none() || self.icmp_from_this_host;
        let place = if by_this_host { "this host" } else { "the router that reported the error" };
        explanation(
            self.reporter("has no route to the address"),
            "whether the host exists",
            format!("run `ip route get` on {place}"),
        )
    }

    fn host_unreachable(&self) -> Explanation {
        // "Time exceeded" has type 11 in ICMP and type 3 in ICMPv6.
        let time_exceeded = |icmp: IcmpError| icmp.kind == if icmp.is_v6 { 3 } else { 11 };
        if self.icmp().is_some_and(time_exceeded) {
            return explanation(
                self.reporter("discarded the packet because its hop limit reached zero: the path has a loop or is \
                               too long"),
                "whether the host exists: the packet did not reach its network",
                "run `traceroute`; it shows whether the path has a loop",
            );
        }
        let by_this_host =
            self.icmp_from_this_host || matches!(self.origin(), Some(Origin::ThisHost));
        if by_this_host {
            return explanation(
                "on this host's own link, no host answers ARP or neighbour discovery for the target or its router",
                "whether the host is off, asleep, or on another network",
                "check whether the host is on and connected; run `ip neigh` on this host",
            );
        }
        explanation(
            self.reporter("could not reach the target's host"),
            "whether the host is down, or only the link to it",
            "check whether the host is on; run `ip neigh` on the router that reported the error",
        )
    }

    fn refused(&self) -> Explanation {
        let not_certain =
            "whether the target's host sent this: a firewall can use the host's address";
        let start_server = match self.protocol.our_server() {
            Some(program) => format!("start a server: `{program} --listen IP:PORT` on that host"),
            None => "start a server on that host".to_owned(),
        };
        let from = self.icmp().and_then(|icmp| icmp.from);
        match from {
            Some(_) if self.icmp_from_this_host && !self.icmp_is_from_target() => explanation(
                "a firewall rule of this host rejects outgoing packets",
                "everything about the target: the client sent nothing to it",
                "check this host's firewall rules (`nft list ruleset`)",
            ),
            Some(from) if self.icmp_is_from_target() => explanation(
                format!("the host ({from}) is up; it reports that no process listens on the port"),
                not_certain,
                start_server,
            ),
            Some(from) => explanation(
                format!(
                    "{from} reports that the port is unreachable, but it is not the target's host"
                ),
                "whether a server runs on the target's host: the packet did not reach it",
                format!("check the firewall rules on {from}"),
            ),
            None if self.protocol.has_connections() && self.icmp().is_none() => explanation(
                "the host is up; it refused the connection, so no process listens on the port",
                not_certain,
                start_server,
            ),
            None => explanation(
                "an ICMP error reports that no process listens on the port; this system does not report its sender",
                not_certain,
                start_server,
            ),
        }
    }

    fn silent(&self) -> Explanation {
        match self.connect_duration {
            Some(connect_duration) => explanation(
                format!(
                    "the peer accepted the connection in {}, but did not send a reply",
                    duration(connect_duration)
                ),
                "whether the server hangs or is another service",
                "read the server's log; check whether the port is correct",
            ),
            None if self.protocol.has_connections() => explanation(
                "the client sent connection requests, but received no answer, not even a refusal",
                "the reason: a missing host, a firewall that drops packets (possibly on this host) and a broken \
                 return path look the same from here",
                "try another port of the host; capture packets on the host",
            ),
            None => explanation(
                format!(
                    "the client sent {}, but received no answer",
                    counted(self.sent.into(), "request", "requests")
                ),
                "the reason: an absent server, a firewall that drops packets and a lost reply look the same from here",
                "capture packets on the server's host",
            ),
        }
    }
}

fn explanation(
    meaning: impl Into<String>,
    not_certain: &'static str,
    next_step: impl Into<String>,
) -> Explanation {
    Explanation { meaning: meaning.into(), not_certain, next_step: next_step.into() }
}
