//! [`Reachability`]: whether errors show that further requests will have no reply.

use crate::model::condition::{Condition, Failure, Verification};
use crate::model::icmp::Origin;

/// The number of transient ICMP errors that ends a series. These errors count only as long as no reply has arrived.
pub(super) const MAX_TRANSIENT_ERRORS: u32 = 3;

/// The number of failed requests that ends a series if the errors are not verified. Any host can forge such an error. So
/// the client sends a second request. The series ends if the second request has an error and no reply, too.
pub(super) const MIN_UNVERIFIED_ERRORS: u32 = 2;

/// The errors before the first reply.
#[derive(Debug)]
pub(super) struct Reachability {
    /// Whether errors never end the series.
    keep_going: bool,
    transient_errors: u32,
    unverified_permanent_errors: u32,
    has_reply: bool,
    is_unreachable: bool,
}

impl Reachability {
    /// The state before the first request. If `keep_going` is set, no error ends the series.
    pub(super) fn new(keep_going: bool) -> Self {
        Self {
            keep_going,
            transient_errors: 0,
            unverified_permanent_errors: 0,
            has_reply: false,
            is_unreachable: false,
        }
    }

    /// Whether further requests will probably have no reply. Only errors before the first reply set this state: one
    /// permanent error, [`MIN_UNVERIFIED_ERRORS`] permanent errors that are not verified, or [`MAX_TRANSIENT_ERRORS`]
    /// transient errors.
    pub(super) fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    /// A correct reply has arrived.
    pub(super) fn reply_received(&mut self) {
        self.has_reply = true;
        self.is_unreachable = false;
    }

    /// A request failed because of an error.
    pub(super) fn error_reported(&mut self, failure: &Failure, verification: Verification) {
        // The next request can fit into a queue, find a free port, or be sent in fragments.
        if matches!(
            failure.condition,
            Condition::Silent | Condition::LocalLimit | Condition::TooBig | Condition::OtherAddress
        ) {
            return;
        }
        // A server that accepted a connection can answer on the next connection.
        let accepts = matches!(failure.condition, Condition::Closed | Condition::Reset);
        // An error that a router reports can be transient (RFC 1122, section 4.2.3.9). Therefore the first such error
        // does not end the series.
        let is_transient = matches!(failure.origin, Some(Origin::Icmp(_)))
            && failure.condition != Condition::Refused;
        self.transient_errors += u32::from(is_transient);
        let is_unverified = verification == Verification::Unverified;
        self.unverified_permanent_errors += u32::from(!is_transient && is_unverified);
        let has_permanent_evidence = !is_transient
            && (!is_unverified || self.unverified_permanent_errors >= MIN_UNVERIFIED_ERRORS);
        let is_final =
            !accepts && (has_permanent_evidence || self.transient_errors >= MAX_TRANSIENT_ERRORS);
        self.is_unreachable |= !self.keep_going && !self.has_reply && is_final;
    }
}
