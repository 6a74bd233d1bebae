//! [`Condition`]: the state of a target, and [`Failure`]: the reason why an exchange failed.

use crate::model::failure_context::{ADD_THE_ZONE, FailureContext, ZONE_IS_MISSING};
use crate::model::icmp::Origin;
use crate::model::protocol::{Framing, Protocol};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::{fmt, io, time::Duration};

/// The state of a target, as far as a client can observe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The expected server answers: an echo server, or the requested service.
    Answering,
    /// The name has no address.
    NameNotFound,
    /// The name look-up failed. Whether the name has an address is unknown.
    NameLookupFailed,
    /// This host or a router has no route to the address.
    NoRoute,
    /// A route exists, but this host or a router cannot reach the target's host.
    HostUnreachable,
    /// The peer or an ICMP error reported that no process listens on the port.
    Refused,
    /// A firewall reported that it does not forward the packet.
    Prohibited,
    /// Neither a reply nor an error arrived.
    Silent,
    /// The peer closed the connection before its reply was complete.
    Closed,
    /// A reset from the peer's address ended an established connection.
    Reset,
    /// The reply is not the expected reply.
    WrongAnswer,
    /// This host does not permit the operation.
    PermissionDenied,
    /// A router, or this host, reported that the packet exceeds the path's MTU.
    TooBig,
    /// The replies have a source address or a source port other than the target's.
    OtherAddress,
    /// This host ran out of ports, buffers or descriptors.
    LocalLimit,
    /// This system refused an operation or an option.
    Unsupported,
}

impl Condition {
    /// The name in JSON and in text. It is part of the JSON interface, so it does not change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answering => "answering",
            Self::NameNotFound => "name-not-found",
            Self::NameLookupFailed => "name-lookup-failed",
            Self::NoRoute => "no-route",
            Self::HostUnreachable => "host-unreachable",
            Self::Refused => "refused",
            Self::Prohibited => "prohibited",
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::WrongAnswer => "wrong-answer",
            Self::PermissionDenied => "permission-denied",
            Self::TooBig => "too-big",
            Self::OtherAddress => "other-address",
            Self::LocalLimit => "local-limit",
            Self::Unsupported => "unsupported",
        }
    }

    /// Whether the absence of the server explains the condition: its name, its host or its process does not exist, or it
    /// ended its connections. A missing reply alone can be a random loss.
    pub(crate) fn shows_absence(self) -> bool {
        matches!(
            self,
            Self::NameNotFound
                | Self::NoRoute
                | Self::HostUnreachable
                | Self::Refused
                | Self::Prohibited
                | Self::Closed
                | Self::Reset
        )
    }

    /// The meaning of the condition over `protocol`, in one sentence for the user.
    #[must_use]
    pub fn meaning(self, protocol: &Protocol) -> &'static str {
        match self {
            Self::Answering if protocol.is_handshake() => "a server accepts connections",
            Self::Answering if !protocol.needs_server_program() => "the kernel of the host replies",
            Self::Answering => "the expected server answers",
            Self::NameNotFound => "the name has no address; is the spelling correct?",
            Self::NameLookupFailed => "the name look-up failed; is a name server reachable?",
            Self::NoRoute => "no route leads to the address",
            Self::HostUnreachable => "this host or a router cannot reach the target's host",
            Self::Refused if !protocol.needs_server_program() => {
                "the host or a firewall rejects the packet"
            }
            Self::Refused if !protocol.has_ports() => {
                "in most cases, no process receives the packet; is the server running?"
            }
            Self::Refused => {
                "in most cases, no process listens on the port; is the server running?"
            }
            Self::Prohibited => "a firewall does not forward the packet",
            Self::Silent if protocol.is_handshake() => {
                "no connection was established within the timeout; `rtt-client diagnose` lists the possible reasons"
            }
            Self::Silent if protocol.framing == Framing::Stream => {
                "no complete reply within the timeout; `rtt-client diagnose` lists the possible reasons"
            }
            Self::Silent => {
                "no reply within the timeout; `rtt-client diagnose` lists the possible reasons"
            }
            Self::Closed => {
                "the peer accepts connections, but closes them before the reply is complete"
            }
            Self::Reset => "the connection was established, and then a reset ended it",
            Self::WrongAnswer => "the peer answers, but not with the expected reply",
            Self::PermissionDenied => {
                "this host does not permit it, because of a firewall rule or a broadcast address"
            }
            Self::TooBig => "the packet is longer than the path allows; try a smaller size with -s",
            Self::OtherAddress => "the replies come from another address than the requested one",
            Self::LocalLimit => "this host has no more ports, buffers or descriptors",
            Self::Unsupported => "this system refuses the operation",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether an error about a request is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    /// The error comes from this host, or the kernel has checked it, or it quotes the token of the request. Only a host
    /// that has received the request can quote its token.
    Verified,
    /// Any host can have sent the error.
    Unverified,
}

/// The reason why an exchange has no correct reply.
#[derive(Debug)]
pub struct Failure {
    /// The state of the target.
    pub condition: Condition,
    /// The error of the operating system, if it reported one.
    pub error: Option<io::Error>,
    /// The time until the client detected the failure. It starts at the request or at the name look-up. See also
    /// [`Failure::measured_after`].
    pub after: Duration,
    /// The source of the report. Absent if this program observed the failure itself, for example a timeout.
    pub origin: Option<Origin>,
    /// A fact that makes the meaning of the condition more specific.
    pub context: Option<FailureContext>,
    /// Further observations, for example how much of the reply arrived.
    pub detail: Option<String>,
    /// [`Condition::TooBig`]: the maximum length of a packet on the path, in bytes, if it was reported.
    pub mtu: Option<u32>,
    /// [`Condition::OtherAddress`]: the source of the reply.
    pub reply_from: Option<SocketAddr>,
}

impl Failure {
    /// A failure that this program observed itself.
    pub(crate) fn new(condition: Condition, after: Duration) -> Self {
        Self {
            condition,
            error: None,
            after,
            origin: None,
            context: None,
            detail: None,
            mtu: None,
            reply_from: None,
        }
    }

    /// The time until the client detected the failure. `None` if the client did not try to send the request.
    #[must_use]
    pub fn measured_after(&self) -> Option<Duration> {
        let is_tried = self.context != Some(FailureContext::NotTried);
        is_tried.then_some(self.after)
    }

    /// Adds the maximum length of a packet, if it is known.
    #[must_use]
    pub(crate) fn with_mtu(self, mtu: Option<u32>) -> Self {
        match mtu {
            Some(bytes) => Self { mtu, detail: Some(format!("the MTU is {bytes} bytes")), ..self },
            None => self,
        }
    }

    /// The failure of a request whose reply came from this other address.
    pub(crate) fn other_address(from: SocketAddr, after: Duration) -> Self {
        Self {
            detail: Some(format!("from {from}")),
            reply_from: Some(from),
            ..Self::new(Condition::OtherAddress, after)
        }
    }

    /// The meaning over `protocol`, in one sentence for the user. It is the meaning of the condition, or a more specific one.
    #[must_use]
    pub fn meaning(&self, protocol: &Protocol) -> Cow<'static, str> {
        match (self.condition, self.context) {
            (_, Some(FailureContext::NotTried)) => {
                "the client did not send the request, because the last attempt to connect failed and the next one has not \
                 ended"
                    .into()
            }
            (Condition::Silent, Some(FailureContext::NoConnection)) => {
                "no connection was established within the timeout; `rtt-client diagnose` lists the possible reasons"
                    .into()
            }
            (Condition::NoRoute, Some(FailureContext::NoZone)) => {
                format!("{ZONE_IS_MISSING}; {ADD_THE_ZONE}").into()
            }
            (Condition::NameNotFound, Some(FailureContext::OtherVersion(option))) => {
                let [found, option, selected] =
                    [option.excluded(), option.name(), option.selected()];
                format!(
                    "the name has only {found} addresses, but {option} selects {selected}; remove {option}"
                )
                .into()
            }
            (Condition::WrongAnswer, Some(FailureContext::WaitedForCorrectReply)) => format!(
                "{}; any host can forge a datagram, so the client waited for the correct reply until the timeout",
                self.condition.meaning(protocol)
            )
            .into(),
            _ => self.condition.meaning(protocol).into(),
        }
    }

    /// One line for the user: `refused, reported by ICMP type 3 code 3 … : no process listens on this port`. The exchange
    /// used `protocol`.
    #[must_use]
    pub fn describe(&self, protocol: &Protocol) -> String {
        let mut text = self.condition.to_string();
        if self.condition == Condition::Silent
            && let Some(after) = self.measured_after()
        {
            let _ = write!(text, " for {:.3} s", after.as_secs_f64());
        }
        if let Some(detail) = &self.detail {
            let _ = write!(text, " ({detail})");
        }
        match self.origin {
            Some(Origin::Icmp(icmp)) => {
                let _ = write!(text, ", reported by {icmp}");
            }
            Some(Origin::ThisHost) => {
                text.push_str(", reported by this host");
                if let Some(error) = &self.error {
                    let _ = write!(text, " ({error})");
                }
            }
            Some(Origin::Peer | Origin::Unknown) | None => {}
        }
        let _ = write!(text, ": {}", self.meaning(protocol));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failure_context::VersionOption;
    use crate::model::protocol::{EXAMPLE, Responder};

    #[test]
    fn refusal_mentions_the_server_and_the_port_only_if_they_exist() {
        let refused = Failure::new(Condition::Refused, Duration::ZERO);
        let text = |protocol: &Protocol| refused.describe(protocol);
        let program = text(&EXAMPLE);
        assert!(program.contains("port") && program.contains("server"), "{program}");
        let without_port = text(&Protocol { default_port: None, ..EXAMPLE });
        assert!(!without_port.contains("port"), "{without_port}");
        let kernel =
            text(&Protocol { default_port: None, responder: Responder::Kernel, ..EXAMPLE });
        assert!(!kernel.contains("port") && !kernel.contains("server"), "{kernel}");
    }

    #[test]
    fn context_makes_the_meaning_of_a_condition_more_specific() {
        let other_version = FailureContext::OtherVersion(VersionOption::V6);
        for (condition, context, expected) in [
            (Condition::Silent, FailureContext::NoConnection, "no connection was established"),
            (Condition::NoRoute, FailureContext::NoZone, "add the zone to the address"),
            (
                Condition::NameNotFound,
                other_version,
                "the name has only IPv4 addresses, but -6 selects IPv6; remove -6",
            ),
            (
                Condition::WrongAnswer,
                FailureContext::WaitedForCorrectReply,
                "any host can forge a datagram",
            ),
        ] {
            let general = Failure::new(condition, Duration::ZERO);
            assert!(!general.describe(&EXAMPLE).contains(expected), "{condition}");
            let text = Failure { context: Some(context), ..general }.describe(&EXAMPLE);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn only_a_reply_of_a_stream_can_be_incomplete() {
        let silent = |framing| Condition::Silent.meaning(&Protocol { framing, ..EXAMPLE });
        assert!(silent(Framing::Stream).starts_with("no complete reply"));
        assert!(silent(Framing::Datagrams).starts_with("no reply"));
    }

    #[test]
    fn handshake_has_no_reply_but_a_connection() {
        let handshake = Protocol { responder: Responder::KernelOfServer, ..EXAMPLE };
        assert!(Condition::Silent.meaning(&handshake).starts_with("no connection"));
        assert!(Condition::Answering.meaning(&handshake).contains("accepts connections"));
    }
}
