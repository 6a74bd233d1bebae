//! Decides which datagrams the server answers.

use crate::Totals;
use crate::datagram_io::ReceiveMeta;
use crate::flow_table::RefusalReason;
use crate::refusal::{self, Refusal};
use echo_service::{AllowedNetworks, RateLimit, request_units, should_log_batch};
use std::time::Instant;

/// The rules for the datagrams that the server answers.
pub(crate) struct AdmissionPolicy {
    pub(crate) allowed: AllowedNetworks,
    pub(crate) rate: RateLimit,
    /// The ports of this server.
    pub(crate) own_ports: Vec<u16>,
}

/// The decision about a received buffer.
pub(crate) enum Admission {
    /// The server answers the first datagrams of the buffer. It refuses the others because of the rate limit.
    Admitted {
        /// Number of datagrams that the server answers, at least 1.
        datagrams: u64,
        /// The hop limit of the replies. `None`: the default of the system.
        hops: Option<u8>,
    },
    /// The server answers no datagram of the buffer.
    Refused(RefusalReason),
}

impl AdmissionPolicy {
    /// Decides which datagrams of a received buffer the server answers at the time `now`. Counts the refused
    /// datagrams and logs some of them.
    pub(crate) fn admit(
        &self,
        meta: &ReceiveMeta,
        payload: &[u8],
        now: Instant,
        totals: &mut Totals,
    ) -> Admission {
        let datagrams = meta.datagrams();
        if !self.allowed.allows(meta.peer.ip()) {
            let reason = "--allow does not contain its address";
            refuse(&mut totals.refused_network, datagrams, meta, reason);
            return Admission::Refused(RefusalReason::List);
        }
        let hops = refusal::check_addresses(meta, &self.own_ports)
            .and_then(|()| refusal::reply_hops(meta, payload));
        let hops = match hops {
            Ok(hops) => hops,
            Err(refusal) => {
                let (count, reason) = match refusal {
                    Refusal::SourcePort => (
                        &mut totals.refused_source_port,
                        "its source port is the port of a service",
                    ),
                    Refusal::NonUnicast => (
                        &mut totals.refused_non_unicast,
                        "its source or destination is not the address of one host",
                    ),
                    Refusal::ServerLoop => {
                        (&mut totals.refused_server_loop, "it probably circulated between servers")
                    }
                };
                refuse(count, datagrams, meta, reason);
                return Admission::Refused(RefusalReason::List);
            }
        };
        let units = request_units(meta.segment_size);
        let admitted = self.rate.take(meta.peer.ip(), datagrams, units, now);
        if admitted < datagrams {
            let reason = "its source exceeded --rate";
            refuse(&mut totals.refused_rate_limit, datagrams - admitted, meta, reason);
        }
        match admitted {
            0 => Admission::Refused(RefusalReason::Rate),
            datagrams => Admission::Admitted { datagrams, hops },
        }
    }
}

/// Counts refused datagrams, and logs some of them.
fn refuse(count: &mut u64, datagrams: u64, meta: &ReceiveMeta, reason: &str) {
    *count += datagrams;
    if should_log_batch(*count, datagrams) {
        tracing::warn!(peer = %meta.peer, count, reason, "datagram not answered");
    }
}
