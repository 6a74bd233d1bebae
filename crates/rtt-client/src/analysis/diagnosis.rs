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
//!     context: None,
//!     detail: None,
//!     mtu: None,
//!     reply_from: None,
//! };
//! let (protocol, target) = (protocol_named("tcp").unwrap(), "192.0.2.1:12000");
//! let finding = Finding {
//!     address: Some(target.parse().unwrap()),
//!     ..Finding::new(protocol, target, ProbeResult::NoAnswer(failure))
//! };
//!
//! assert_eq!(finding.condition(), Condition::Refused);
//! let explanation = finding.explain();
//! assert!(explanation.meaning.contains("no process listens on the port"));
//! assert!(explanation.not_certain.contains("a firewall can use the host's address"));
//! assert!(explanation.next_step.starts_with("start a server"));
//! ```

mod advice;
mod generic;
mod host;
#[cfg(test)]
mod tests;

pub use host::{HostCheck, HostFinding, HostState, Service};

use crate::model::condition::{Condition, Failure};
use crate::model::exchange::UnconnectedResult;
use crate::model::expected_server::ExpectedServer;
use crate::model::icmp::{IcmpError, Origin};
use crate::model::protocol::{Protocol, ReplyForm};
use crate::protocol::explanations::explanations_of;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
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
    /// The next hop to the address, if it has not answered the address resolution (ARP or neighbour discovery) of this
    /// host. It is the target's host or a router. The client looks it up only if it received no packet.
    pub unresolved_next_hop: Option<IpAddr>,
    /// The hop limit of the requests, if the user set one.
    pub hop_limit: Option<NonZeroU8>,
    /// From the connection request until the connection was established. Absent if no connection was established.
    pub connect_duration: Option<Duration>,
    /// The number of requests that the client sent.
    pub sent: u32,
    /// The server that the probe expected.
    pub expected: ExpectedServer,
    /// The other protocols that the same diagnosis probes at this host.
    pub other_protocols: Vec<&'static Protocol>,
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
        /// The kind of server.
        server: EchoServer,
    },
    /// The expected service answers, or a server sends the expected reply to the user's request.
    Service {
        /// The round-trip time. Absent if it is not known which of several requests was answered.
        rtt: Option<Duration>,
        /// The RTT. If it is absent, the time from the first request to the reply.
        after: Duration,
        /// The first line of the reply.
        reply: Bytes,
        /// The error that the reply reports, for people. Absent if it reports none.
        error: Option<String>,
    },
    /// The peer answers, but not as the expected server.
    WrongAnswer {
        /// The error in the answer.
        failure: Failure,
        /// The beginning of the answer.
        text: Bytes,
    },
    /// There is no answer.
    NoAnswer(Failure),
}

/// The kind of an echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoServer {
    /// It reports its processing time in our timing header.
    OfThisProject,
    /// It returns the text in upper case.
    UpperCase,
    /// It returns the unchanged text, as RFC 862 specifies. The kernel of a host does the same.
    Plain,
}

impl EchoServer {
    /// The form of its replies.
    #[must_use]
    pub fn reply_form(self) -> ReplyForm {
        match self {
            Self::OfThisProject | Self::UpperCase => ReplyForm::UpperCase,
            Self::Plain => ReplyForm::Unchanged,
        }
    }
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
    /// Creates the finding of a probe that sent nothing. `target` is the host and the port.
    pub fn new(
        protocol: &'static Protocol,
        target: impl Into<String>,
        result: ProbeResult,
    ) -> Self {
        Self {
            protocol,
            target: target.into(),
            address: None,
            icmp_from_this_host: false,
            unresolved_next_hop: None,
            hop_limit: None,
            connect_duration: None,
            sent: 0,
            expected: ExpectedServer::without_service(protocol),
            other_protocols: Vec::new(),
            result,
            unconnected: None,
        }
    }

    /// The condition of the target.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.failure().map_or(Condition::Answering, |failure| failure.condition)
    }

    /// The RTT, or the time until the client detected the failure. If the RTT is not known, the time from the first request to
    /// the reply.
    #[must_use]
    pub fn after(&self) -> Duration {
        match &self.result {
            ProbeResult::Echo { rtt: after, .. } | ProbeResult::Service { after, .. } => *after,
            ProbeResult::WrongAnswer { failure, .. } | ProbeResult::NoAnswer(failure) => {
                failure.after
            }
        }
    }

    /// The failure. Absent if the expected server answers.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match &self.result {
            ProbeResult::Echo { .. } | ProbeResult::Service { .. } => None,
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

    /// The packet with which the peer reported the failure, for example a reset. Absent if the protocol has no name
    /// for it, or if the peer reported no failure.
    #[must_use]
    pub fn packet_of_peer(&self) -> Option<&'static str> {
        let condition =
            self.origin().filter(|origin| *origin == Origin::Peer).map(|_| self.condition());
        explanations_of(self.protocol).packet_of_peer(condition?)
    }

    /// Whether this host made the error: it did not send the packet, or it sent the ICMP error itself.
    pub(crate) fn is_error_of_this_host(&self) -> bool {
        self.icmp_from_this_host || self.origin() == Some(Origin::ThisHost)
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
        let target = self.address.map(|address| address.ip().to_canonical());
        from.is_some() && from.map(|from| from.to_canonical()) == target
    }
}
