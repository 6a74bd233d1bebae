//! The fields of a summary about the path and about this host.

use super::summary::DistributionFields;
use crate::analysis::delay_variation::OneWayDelays;
use crate::model::address_resolution::AddressResolution;
use crate::model::format::nanoseconds;
use crate::model::receive_queue::ReceiveQueue;
use crate::model::replacement::Replacement;
use serde::Serialize;
use std::net::IpAddr;

/// The delays in each direction, measured with two synchronised clocks.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "names of durations end in `_ns`")]
pub(super) struct OneWayFields {
    there_ns: DistributionFields,
    back_ns: DistributionFields,
    max_error_ns: u64,
}

impl OneWayFields {
    pub(super) fn of(delays: &OneWayDelays) -> Option<Self> {
        Some(Self {
            there_ns: DistributionFields::of(&delays.there)?,
            back_ns: DistributionFields::of(&delays.back)?,
            max_error_ns: nanoseconds(delays.max_error),
        })
    }
}

/// The size of the receive queue of the client's socket.
#[derive(Serialize)]
pub(super) struct QueueFields {
    requested_bytes: usize,
    granted_bytes: usize,
}

impl From<ReceiveQueue> for QueueFields {
    fn from(queue: ReceiveQueue) -> Self {
        Self { requested_bytes: queue.requested, granted_bytes: queue.granted }
    }
}

/// A channel that the client replaced.
#[derive(Serialize)]
pub(super) struct ReplacementFields {
    at_ns: u64,
    reason: &'static str,
    evidence: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_source: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_source: Option<IpAddr>,
}

impl From<&Replacement> for ReplacementFields {
    fn from(replacement: &Replacement) -> Self {
        Self {
            at_ns: nanoseconds(replacement.after),
            reason: replacement.reason.name(),
            evidence: replacement.evidence.name(),
            old_source: replacement.old_source,
            new_source: replacement.new_source,
        }
    }
}

/// The address resolution that delayed the first packet.
#[derive(Serialize)]
pub(super) struct AddressResolutionFields {
    next_hop: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_ns: Option<u64>,
}

impl From<AddressResolution> for AddressResolutionFields {
    fn from(resolution: AddressResolution) -> Self {
        Self { next_hop: resolution.next_hop, wait_ns: resolution.wait.map(nanoseconds) }
    }
}
