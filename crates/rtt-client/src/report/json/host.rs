//! The line of a conclusion about a host.

use crate::analysis::diagnosis::{HostCheck, HostFinding};
use crate::model::format::nanoseconds;
use crate::model::protocol::DisplayAddress;
use serde::Serialize;

/// The conclusion about one host.
#[derive(Serialize)]
pub(super) struct HostLine {
    address: DisplayAddress,
    state: &'static str,
    checks: Vec<CheckFields>,
    explanation: String,
}

/// One check of the host.
#[derive(Serialize)]
struct CheckFields {
    protocol: &'static str,
    /// Absent if the check was not possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ns: Option<u64>,
    /// The reason why the check was not possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_possible: Option<String>,
}

impl From<&HostFinding> for HostLine {
    fn from(host: &HostFinding) -> Self {
        Self {
            address: host.address,
            state: host.state.name(),
            checks: host.checks.iter().map(CheckFields::from).collect(),
            explanation: host.meaning(),
        }
    }
}

impl From<&HostCheck> for CheckFields {
    fn from(check: &HostCheck) -> Self {
        let protocol = check.protocol().name;
        match check {
            HostCheck::Finding(finding) => Self {
                protocol,
                condition: Some(finding.condition().name()),
                after_ns: Some(nanoseconds(finding.after())),
                not_possible: None,
            },
            HostCheck::NotPossible { reason, .. } => Self {
                protocol,
                condition: None,
                after_ns: None,
                not_possible: Some(reason.clone()),
            },
        }
    }
}
