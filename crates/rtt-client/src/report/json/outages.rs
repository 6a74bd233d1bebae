//! The fields of a summary about outages, and the line of a changed address.

use super::time;
use crate::analysis::outages::Outages;
use crate::model::address_change::AddressChange;
use crate::model::format::nanoseconds;
use crate::model::outage::Outage;
use crate::model::protocol::DisplayAddress;
use serde::Serialize;

/// The outages of a run. All fields are absent if there are none.
#[derive(Serialize)]
pub(super) struct OutagesFields {
    /// The first outages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outages: Vec<OutageFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outage_total: Option<OutageTotal>,
}

#[derive(Serialize)]
struct OutageFields {
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    duration_ns: u64,
    requests: u64,
    conditions: Vec<&'static str>,
}

/// All outages together.
#[derive(Serialize)]
struct OutageTotal {
    outages: u64,
    duration_ns: u64,
    requests: u64,
}

impl From<&Outages> for OutagesFields {
    fn from(outages: &Outages) -> Self {
        Self {
            outages: outages.first.iter().map(OutageFields::from).collect(),
            outage_total: (outages.count > 0).then(|| OutageTotal {
                outages: outages.count,
                duration_ns: nanoseconds(outages.duration),
                requests: outages.requests,
            }),
        }
    }
}

impl From<&Outage> for OutageFields {
    fn from(outage: &Outage) -> Self {
        Self {
            from: time(outage.from),
            to: outage.to.map(time),
            duration_ns: nanoseconds(outage.duration),
            requests: outage.requests,
            conditions: outage.conditions.iter().map(|condition| condition.name()).collect(),
        }
    }
}

/// The line of a changed address.
#[derive(Serialize)]
pub(super) struct AddressLine {
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<DisplayAddress>,
    new: DisplayAddress,
    time: String,
    reason: &'static str,
}

impl From<&AddressChange> for AddressLine {
    fn from(change: &AddressChange) -> Self {
        let text = |address| change.protocol.display_address(address);
        Self {
            host: change.host.clone(),
            old: change.old.map(text),
            new: text(change.new),
            time: time(change.time),
            reason: change.reason.name(),
        }
    }
}
