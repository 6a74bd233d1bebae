//! A finding's line: what a client sees over one protocol at one address.

use crate::analysis::diagnosis::{Finding, ProbeResult};
use crate::model::condition::Failure;
use crate::model::exchange::UnconnectedResult;
use crate::model::format::nanoseconds;
use crate::model::icmp::{IcmpError, Origin};
use serde::Serialize;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct Found {
    protocol: &'static str,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    condition: &'static str,
    after_ns: u64,
    #[serde(flatten)]
    told: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ns: Option<u64>,
    sent: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    /// `echo-rtt` or `plain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unconnected: Option<FromUnconnected>,
    explanation: String,
}

/// What a socket that is not connected saw.
#[derive(Serialize)]
struct FromUnconnected {
    /// `reply`, `error` or `nothing`.
    saw: &'static str,
    after_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
}

impl Found {
    pub(super) fn of(finding: &Finding) -> Self {
        let failure = finding.failure();
        let explanation = finding.explain();
        let (rtt, server) = match finding.result {
            ProbeResult::Echo { rtt, is_ours: true } => (Some(rtt), Some("echo-rtt")),
            ProbeResult::Echo { rtt, is_ours: false } => (Some(rtt), Some("plain")),
            _ => (None, None),
        };
        let reply = match &finding.result {
            ProbeResult::WrongAnswer { text, .. } => {
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        };
        Self {
            protocol: finding.protocol.name,
            target: finding.target.clone(),
            address: finding.address,
            condition: finding.condition().name(),
            after_ns: nanoseconds(finding.after()),
            told: failure.map(Told::of),
            connect_ns: finding.connect_duration.map(nanoseconds),
            sent: finding.sent,
            rtt_ns: rtt.map(nanoseconds),
            server,
            reply,
            unconnected: finding.unconnected.map(FromUnconnected::of),
            explanation: format!(
                "{}. It leaves open {}. Try next: {}.",
                explanation.meaning, explanation.not_certain, explanation.next_step
            ),
        }
    }
}

/// What is known of a failure, beyond its condition.
#[derive(Serialize)]
pub(super) struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<IcmpFields>,
    /// Who said so: `this-host`, `peer`, `icmp`, or `untold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Told {
    pub(super) fn of(failure: &Failure) -> Self {
        Self {
            errno: failure.error.as_ref().and_then(io::Error::raw_os_error),
            icmp: failure.origin.and_then(IcmpFields::of),
            origin: failure.origin.map(|origin| match origin {
                Origin::ThisHost => "this-host",
                Origin::Peer => "peer",
                Origin::Icmp(_) => "icmp",
                Origin::Unknown => "unknown",
            }),
            detail: failure.detail.clone(),
        }
    }
}

impl FromUnconnected {
    fn of(unconnected: UnconnectedResult) -> Self {
        let (saw, errno, after): (_, _, Duration) = match unconnected {
            UnconnectedResult::Reply(after) => ("reply", None, after),
            UnconnectedResult::Error(errno, after) => ("error", errno, after),
            UnconnectedResult::Timeout(waited) => ("nothing", None, waited),
        };
        Self { saw, after_ns: nanoseconds(after), errno }
    }
}

/// What the network said.
#[derive(Serialize)]
pub(super) struct IcmpFields {
    r#type: u8,
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
}

impl IcmpFields {
    pub(super) fn of(origin: Origin) -> Option<Self> {
        match origin {
            Origin::Icmp(IcmpError { kind, code, from, .. }) => {
                Some(Self { r#type: kind, code, from })
            }
            _ => None,
        }
    }
}
