//! [`Explain`]: the explanations that only one protocol can give. Generic code calls this trait. Each protocol implements
//! it in its folder, in `protocol/*/explain.rs`.

use crate::analysis::comparison::{Cause, Claim, PairedDifference};
use crate::analysis::diagnosis::{Explanation, Finding};
use crate::analysis::evidence::{Evidence, Side};
use crate::analysis::loss_pattern::LossPattern;
use crate::model::condition::Condition;

/// The explanations of one protocol. Each function has a default, so a protocol implements only what it needs.
pub(crate) trait Explain: Sync {
    /// The explanations of the handshakes of the protocol's connections ([`Protocol::handshake`]).
    ///
    /// [`Protocol::handshake`]: crate::model::protocol::Protocol::handshake
    fn of_handshakes(&self) -> Option<&'static dyn Explain> {
        None
    }

    /// The explanation of a finding. `None` if the generic explanation of its condition is sufficient.
    fn finding(&self, _finding: &Finding) -> Option<Explanation> {
        None
    }

    /// The packet with which the peer reports this failure, for example a reset. `None` if the protocol has no name for it.
    fn packet_of_peer(&self, _condition: Condition) -> Option<&'static str> {
        None
    }

    /// The causes of a difference that only this protocol has, for the side in `context`.
    fn causes(&self, _context: &CauseContext<'_>) -> Vec<Cause> {
        Vec::new()
    }

    /// The popular claims about this protocol, checked against a comparison with at least one side of this protocol.
    fn claims(&self, _context: &ClaimContext<'_>) -> Vec<Claim> {
        Vec::new()
    }

    /// The reason why the packets of a side were not counted.
    fn packets_not_counted(&self) -> &'static str {
        "this system does not count its packets"
    }

    /// A possible reason for missing replies that form a regular pattern, as a note of the summary.
    fn missing_replies(&self, LossPattern { period }: LossPattern) -> String {
        format!(
            "The missing replies form a regular pattern: a gap starts about every {period} requests. A possible reason is a \
             limit of the request rate, in the server or on the path. To test this, send fewer requests per second."
        )
    }
}

/// One side of a comparison, for [`Explain::causes`].
pub(crate) struct CauseContext<'a> {
    pub(crate) evidence: &'a Evidence,
    /// The side that uses the protocol.
    pub(crate) side: &'a Side,
    /// The name of this side in sentences.
    pub(crate) name: &'a str,
}

/// A comparison, for [`Explain::claims`].
pub(crate) struct ClaimContext<'a> {
    /// The first side that uses the protocol.
    pub(crate) side: &'a Side,
    /// The other side.
    pub(crate) other: &'a Side,
    /// Whether `side` is B.
    pub(crate) is_b: bool,
    /// B − A on an established connection.
    pub(crate) difference: PairedDifference,
    /// B − A with a new connection for each exchange. Absent if it was not measured.
    pub(crate) with_connection: Option<PairedDifference>,
}
