//! The fields of a summary that state where exchanges were lost.

use crate::analysis::loss_attribution::{LossCounts, LossRange};
use crate::model::loss_place::LossPlace;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
pub(super) struct LossFields {
    /// The names of the places, with the number of exchanges. The sum is `lost`.
    lost_where: BTreeMap<&'static str, u64>,
    /// The places with a number that is known only as a range.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lost_where_range: BTreeMap<&'static str, RangeFields>,
    /// The known reasons of losses at `unknown`, with the number of exchanges.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lost_reasons: BTreeMap<&'static str, u64>,
    /// The reasons of the losses at `server-limit`. Absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<RefusedFields>,
}

/// The possible numbers of exchanges that were lost at one place.
#[derive(Serialize)]
struct RangeFields {
    low: u64,
    high: u64,
}

/// The requests that the server refused, by reason.
#[derive(Serialize)]
struct RefusedFields {
    rate: u64,
    list: u64,
}

impl From<&LossCounts> for LossFields {
    fn from(losses: &LossCounts) -> Self {
        let LossCounts { refused_rate: rate, refused_list: list, .. } = *losses;
        let range = |(place, LossRange { low, high }): (LossPlace, LossRange)| {
            (place.name(), RangeFields { low, high })
        };
        Self {
            lost_where: losses.places().map(|(place, count)| (place.name(), count)).collect(),
            lost_where_range: losses.ranges().map(range).collect(),
            lost_reasons: losses.reasons().map(|(reason, count)| (reason.name(), count)).collect(),
            refused: (rate + list > 0).then_some(RefusedFields { rate, list }),
        }
    }
}
