//! Popular claims about TCP.

use super::causes::reason_without_windows;
use crate::analysis::comparison::transmission::exceeded_congestion_window;
use crate::analysis::comparison::{Claim, Relation, undecided};
use crate::analysis::explain::ClaimContext;
use crate::model::format::{count, duration};

/// Checks all claims about TCP.
pub(super) fn list(context: &ClaimContext<'_>) -> Vec<Claim> {
    let claims = [congestion_control(context), handshake(context)];
    claims.into_iter().flatten().collect()
}

/// The claim compares TCP with a protocol without congestion control. `None` if the other side is reliable, because
/// reliable protocols have congestion control. `None` if each exchange has a new connection, because its congestion window
/// is not observed.
fn congestion_control(context: &ClaimContext<'_>) -> Option<Claim> {
    let claim = "TCP's RTT is higher because of congestion control";
    let side = context.side;
    if context.other.protocol.is_reliable {
        return None;
    }
    if context.relation() == Relation::Lower {
        let evidence = "TCP's RTT is not higher here.".to_owned();
        return Some(Claim { claim, holds: Some(false), evidence });
    }
    if side.has_new_connections() {
        return None;
    }
    let (Some(windows), Some(exceeded)) = (side.windows, exceeded_congestion_window(side)) else {
        let reason = format!("Not measured: {}.", reason_without_windows(side));
        return Some(undecided(claim, &reason));
    };
    let window = format!(
        "{} segments of {} bytes",
        count(windows.min_congestion_window.into()),
        count(windows.segment_bytes.into())
    );
    let bytes = count(side.request_bytes as u64);
    if exceeded {
        let evidence = format!(
            "Requests of {bytes} bytes do not always fit into the congestion window. The smallest observed window \
             was {window}."
        );
        return Some(Claim { claim, holds: context.holds_if(Relation::Higher), evidence });
    }
    let evidence = format!(
        "{}Requests of {bytes} bytes always fit into the congestion window. The smallest observed window was \
         {window}.",
        context.no_difference()
    );
    Some(Claim { claim, holds: Some(false), evidence })
}

/// `None` if each exchange has a new connection, because there are no later exchanges.
fn handshake(context: &ClaimContext<'_>) -> Option<Claim> {
    let claim = "the handshake is part of TCP's RTT";
    let side = context.side;
    if side.has_new_connections() || context.other.has_new_connections() {
        return None;
    }
    let measured = side.with_connection.as_ref().and_then(|with_connection| {
        let handshake = with_connection.connect.median()?;
        Some((handshake, with_connection.rtt.median()?, side.summary.rtt.median()?))
    });
    let (Some((handshake, first, later)), Some(_)) = (measured, context.with_connection) else {
        return Some(undecided(claim, "Not measured: no exchange used a new connection."));
    };
    Some(Claim {
        claim,
        holds: Some(false),
        evidence: format!(
            "The handshake takes {}, once for each connection, before the client sends the request. The first \
             exchange after it takes {}. A later exchange takes {}.",
            duration(handshake),
            duration(first),
            duration(later)
        ),
    })
}
