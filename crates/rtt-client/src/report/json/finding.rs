//! The line of a finding, and the fields of a failure.

use crate::analysis::diagnosis::{EchoServer, Finding, ProbeResult};
use crate::model::condition::Failure;
use crate::model::exchange::UnconnectedResult;
use crate::model::format::nanoseconds;
use crate::model::icmp::{IcmpError, Origin};
use crate::model::protocol::DisplayAddress;
use serde::Serialize;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The result of probing one address over one protocol.
#[derive(Serialize)]
pub(super) struct FindingLine {
    protocol: &'static str,
    /// Whether the exchange is a handshake. Absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    connect_only: bool,
    /// The name of the predefined service. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'static str>,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<DisplayAddress>,
    condition: &'static str,
    after_ns: u64,
    #[serde(flatten)]
    failure: Option<FailureFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<u64>,
    sent: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    /// `echo-rtt` if the echo server supports the timing header, otherwise `plain`. Absent without an echo server program.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'static str>,
    /// The form of the replies: `upper` or `same`. Absent without an echo server program.
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unconnected: Option<UnconnectedFields>,
    explanation: String,
}

/// The result with an unconnected socket.
#[derive(Serialize)]
struct UnconnectedFields {
    /// `reply`, `error` or `timeout`.
    result: &'static str,
    after_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
}

impl From<&Finding> for FindingLine {
    fn from(finding: &Finding) -> Self {
        let explanation = finding.explain();
        let (rtt, server, reply) = match &finding.result {
            ProbeResult::Echo { rtt, server } => (Some(*rtt), Some(*server), None),
            ProbeResult::Service { rtt, reply, .. } => {
                (*rtt, None, Some(String::from_utf8_lossy(reply).into_owned()))
            }
            ProbeResult::WrongAnswer { text, .. } => {
                (None, None, Some(String::from_utf8_lossy(text).into_owned()))
            }
            ProbeResult::NoAnswer(_) => (None, None, None),
        };
        let server = server.filter(|_| finding.protocol.program_replies());
        Self {
            protocol: finding.protocol.name,
            connect_only: finding.protocol.is_handshake(),
            service: finding.expected.service().map(|service| service.name),
            target: finding.target.clone(),
            address: finding.address.map(|address| finding.protocol.display_address(address)),
            condition: finding.condition().name(),
            after_ns: nanoseconds(finding.after()),
            failure: finding.failure().map(FailureFields::from),
            connect_ns: finding.connect_duration.map(nanoseconds),
            sent: finding.sent,
            rtt_ns: rtt.map(nanoseconds),
            server: server.map(|server| match server {
                EchoServer::OfThisProject => "echo-rtt",
                EchoServer::UpperCase | EchoServer::Plain => "plain",
            }),
            echo: server.map(|server| server.reply_form().name()),
            reply,
            unconnected: finding.unconnected.map(UnconnectedFields::from),
            explanation: format!(
                "{}. Not certain: {}. Next step: {}.",
                explanation.meaning, explanation.not_certain, explanation.next_step
            ),
        }
    }
}

/// The facts about a failure, in addition to its condition.
#[derive(Serialize)]
pub(super) struct FailureFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<IcmpFields>,
    /// See [`Origin::name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The error of the operating system in words, if this host caused the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_from: Option<SocketAddr>,
}

impl From<&Failure> for FailureFields {
    fn from(failure: &Failure) -> Self {
        let is_of_this_host = failure.origin == Some(Origin::ThisHost);
        Self {
            errno: failure.error.as_ref().and_then(io::Error::raw_os_error),
            icmp: failure.origin.and_then(IcmpFields::of),
            origin: failure.origin.map(Origin::name),
            detail: failure.detail.clone(),
            error: failure.error.as_ref().filter(|_| is_of_this_host).map(io::Error::to_string),
            mtu: failure.mtu,
            reply_from: failure.reply_from,
        }
    }
}

impl From<UnconnectedResult> for UnconnectedFields {
    fn from(result: UnconnectedResult) -> Self {
        let (result, after, errno) = match result {
            UnconnectedResult::Reply(after) => ("reply", after, None),
            UnconnectedResult::Error(errno, after) => ("error", after, errno),
            UnconnectedResult::Timeout(after) => ("timeout", after, None),
        };
        Self { result, after_ns: nanoseconds(after), errno }
    }
}

/// An ICMP error.
#[derive(Serialize)]
pub(super) struct IcmpFields {
    r#type: u8,
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
}

impl IcmpFields {
    /// The fields of the ICMP error. Absent if the origin is another one.
    pub(super) fn of(origin: Origin) -> Option<Self> {
        match origin {
            Origin::Icmp(IcmpError { kind, code, from, .. }) => {
                Some(Self { r#type: kind, code, from })
            }
            Origin::ThisHost | Origin::Peer | Origin::Unknown => None,
        }
    }
}
