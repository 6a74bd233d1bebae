//! [`LossPlace`]: the place where an exchange was lost.

use crate::model::condition::{Condition, Failure};
use crate::model::failure_context::FailureContext;
use crate::model::icmp::Origin;
use crate::model::protocol::Responder;
use std::fmt;

/// The place where an exchange was lost. It is derived from evidence only. Without evidence, it is
/// [`LossPlace::Unknown`].
///
/// The order of the variants is the path of an exchange: from this host to the server and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossPlace {
    /// This host did not send the request.
    SendQueue,
    /// The loss was on the way to the server.
    There,
    /// The server's kernel dropped the request, because the receive queue of the server's socket was full.
    ServerQueue,
    /// The server refused the request, because of its rate limit or its list of ports.
    ServerLimit,
    /// The loss was on the way back.
    Back,
    /// This host's kernel dropped the reply, because the receive queue of the client's socket was full.
    ReceiveQueue,
    /// The place is not known.
    Unknown,
}

impl LossPlace {
    /// All places, in the order of the path.
    pub const ALL: [Self; 7] = [
        Self::SendQueue,
        Self::There,
        Self::ServerQueue,
        Self::ServerLimit,
        Self::Back,
        Self::ReceiveQueue,
        Self::Unknown,
    ];

    /// The place where a request that was sent was lost, if its failure shows the place.
    pub(crate) fn of_failure(failure: &Failure) -> Option<Self> {
        match (failure.condition, failure.origin) {
            // The ICMP error quotes the request. The packet did not reach its destination.
            (
                Condition::NoRoute
                | Condition::HostUnreachable
                | Condition::Prohibited
                | Condition::TooBig,
                Some(Origin::Icmp(_)),
            ) => Some(Self::There),
            (Condition::OtherAddress, _) => Some(Self::Unknown),
            _ => None,
        }
    }

    /// The place where a request was lost, if its failure shows the place. The program had passed the request to the
    /// system.
    pub(crate) fn of_failed(failure: &Failure, responder: Responder) -> Option<Self> {
        match responder {
            // A handshake that fails because of this host has sent no packet: the system has no port, no route or no
            // link address for it.
            Responder::KernelOfServer => Self::of_unsent(failure),
            Responder::Program(_) | Responder::Kernel => Self::of_failure(failure),
        }
    }

    /// The place where a request was lost that the program could not send, if its failure shows the place.
    pub(crate) fn of_unsent(failure: &Failure) -> Option<Self> {
        if failure.origin == Some(Origin::ThisHost) {
            return Some(Self::SendQueue);
        }
        Self::of_failure(failure)
    }

    /// The name in JSON. It is part of the JSON interface, so it does not change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SendQueue => "send-queue",
            Self::There => "there",
            Self::ServerQueue => "server-queue",
            Self::ServerLimit => "server-limit",
            Self::Back => "back",
            Self::ReceiveQueue => "receive-queue",
            Self::Unknown => "unknown",
        }
    }

    /// The place in words, after a number: `3 on the way to the server`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::SendQueue => "not sent by this host",
            Self::There => "on the way to the server",
            Self::ServerQueue => "in the server's receive queue",
            Self::ServerLimit => "refused by the server's limit",
            Self::Back => "on the way back",
            Self::ReceiveQueue => "in this host's receive queue",
            Self::Unknown => "at an unknown place",
        }
    }
}

impl fmt::Display for LossPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why an exchange was lost, if a verified error shows the reason but not the place. Its place is [`LossPlace::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossReason {
    /// The client did not send the request, because the name look-up found no address.
    NoAddress,
    /// The client did not send the request, because no connection was established.
    NoConnection,
    /// The connection ended before the reply was complete.
    ConnectionEnded,
    /// A host reported that it refuses the request: the target's host, or another host with a firewall.
    Refused,
}

impl LossReason {
    /// The reason that `failure` shows. `is_sent` states whether the request was sent, and `has_connections` whether its
    /// protocol has connections.
    pub(crate) fn of_failure(
        failure: &Failure,
        is_sent: bool,
        has_connections: bool,
    ) -> Option<Self> {
        let has_no_connection = matches!(
            failure.context,
            Some(FailureContext::NoConnection | FailureContext::NotTried)
        );
        match failure.condition {
            Condition::NameNotFound | Condition::NameLookupFailed if !is_sent => {
                Some(Self::NoAddress)
            }
            _ if has_no_connection && !is_sent => Some(Self::NoConnection),
            _ if has_no_connection => Some(Self::ConnectionEnded),
            Condition::Closed | Condition::Reset if has_connections => Some(Self::ConnectionEnded),
            Condition::Refused if !has_connections => Some(Self::Refused),
            _ => None,
        }
    }

    /// The name in JSON. It is part of the JSON interface, so it does not change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAddress => "no-address",
            Self::NoConnection => "no-connection",
            Self::ConnectionEnded => "connection-ended",
            Self::Refused => "refused",
        }
    }

    /// The reason in words, after a number of exchanges: `3 refused by a host or a firewall`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::NoAddress => "not sent because the name look-up found no address",
            Self::NoConnection => "not sent because no connection was established",
            Self::ConnectionEnded => "whose connection ended before the reply",
            Self::Refused => "refused by a host or a firewall",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::icmp::IcmpError;
    use std::time::Duration;

    #[test]
    fn place_is_known_only_with_evidence() {
        let icmp = Origin::Icmp(IcmpError { is_v6: false, kind: 3, code: 4, from: None });
        let this_host = Some(Origin::ThisHost);
        for (condition, origin, of_failure, of_unsent) in [
            (Condition::Silent, None, None, None),
            (Condition::TooBig, Some(icmp), Some(LossPlace::There), Some(LossPlace::There)),
            (Condition::Refused, Some(icmp), None, None),
            (Condition::LocalLimit, this_host, None, Some(LossPlace::SendQueue)),
            (Condition::NoRoute, this_host, None, Some(LossPlace::SendQueue)),
            (Condition::NoRoute, Some(Origin::Unknown), None, None),
            (Condition::OtherAddress, None, Some(LossPlace::Unknown), Some(LossPlace::Unknown)),
        ] {
            let failure = Failure { origin, ..Failure::new(condition, Duration::ZERO) };
            assert_eq!(LossPlace::of_failure(&failure), of_failure, "{condition}");
            assert_eq!(LossPlace::of_unsent(&failure), of_unsent, "{condition}");
            for (responder, expected) in [
                (Responder::Program(None), of_failure),
                (Responder::Kernel, of_failure),
                (Responder::KernelOfServer, of_unsent),
            ] {
                assert_eq!(LossPlace::of_failed(&failure, responder), expected, "{condition}");
            }
        }
    }

    #[test]
    fn reason_depends_on_the_condition_and_on_the_connection() {
        let no_connection = Some(FailureContext::NoConnection);
        for (condition, context, is_sent, has_connections, expected) in [
            (Condition::NameNotFound, None, false, true, Some(LossReason::NoAddress)),
            (Condition::NameLookupFailed, None, false, false, Some(LossReason::NoAddress)),
            (Condition::Refused, None, true, false, Some(LossReason::Refused)),
            (Condition::Silent, None, true, false, None),
            (Condition::Refused, no_connection, false, true, Some(LossReason::NoConnection)),
            (Condition::Silent, no_connection, false, true, Some(LossReason::NoConnection)),
            // The request was sent on an earlier connection.
            (Condition::Refused, no_connection, true, true, Some(LossReason::ConnectionEnded)),
            (Condition::Reset, None, true, true, Some(LossReason::ConnectionEnded)),
            (Condition::Silent, None, true, true, None),
        ] {
            let failure = Failure { context, ..Failure::new(condition, Duration::ZERO) };
            let reason = LossReason::of_failure(&failure, is_sent, has_connections);
            assert_eq!(reason, expected, "{condition}");
        }
    }
}
