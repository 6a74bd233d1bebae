//! [`Limitation`]: a part of a measurement that is missing or different, because the system refused it or because of the
//! user's settings.

use crate::net::transport::SocketOperation;
use std::fmt;

/// A limitation of a transport. A run reports each limitation once, as a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limitation {
    /// The system refused an operation, so this part is missing.
    Missing {
        part: Part,
        operation: SocketOperation,
        /// The error of the system, in words.
        error: String,
    },
    /// The user selected a source port that servers of this project do not answer.
    RefusedSourcePort(u16),
}

/// A part of a measurement that an optional socket option provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(dead_code, reason = "only the Linux implementation sets these options")
)]
pub(crate) enum Part {
    /// Kernel timestamps.
    Breakdown,
    /// The reports of routers, with their senders.
    IcmpErrors,
    /// The hop limits of received packets.
    ReplyTtl,
    /// Small writes without a delay.
    ImmediateSend,
    /// Only packets for this program reach it.
    PacketFilter,
}

impl Part {
    /// The consequence of a missing part. A colon and the reason follow it.
    fn consequence(self) -> &'static str {
        match self {
            Self::Breakdown => "No breakdown",
            Self::IcmpErrors => "No senders of ICMP errors",
            Self::ReplyTtl => "No TTL of replies",
            Self::ImmediateSend => "Requests can wait for earlier requests",
            Self::PacketFilter => "Packets for other programs count as unmatched",
        }
    }
}

impl Limitation {
    /// Whether this limitation states that `part` is missing.
    pub(crate) fn is_missing(&self, part: Part) -> bool {
        matches!(self, Self::Missing { part: missing, .. } if *missing == part)
    }
}

impl fmt::Display for Limitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { part, operation, error } => {
                let consequence = part.consequence();
                match operation {
                    SocketOperation::SetOption(option) => write!(
                        f,
                        "{consequence}: this system refuses the socket option {option} ({error})."
                    ),
                    operation => {
                        write!(f, "{consequence}: this system cannot {operation} ({error}).")
                    }
                }
            }
            Self::RefusedSourcePort(port) => write!(
                f,
                "The source port {port} belongs to a service. Servers of this project do not reply to it."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_states_the_missing_part_and_the_refused_option() {
        let limitation = Limitation::Missing {
            part: Part::Breakdown,
            operation: SocketOperation::SetOption("SO_TIMESTAMPING"),
            error: "Protocol not available (os error 92)".to_owned(),
        };
        assert_eq!(
            limitation.to_string(),
            "No breakdown: this system refuses the socket option SO_TIMESTAMPING (Protocol not available (os error 92))."
        );
    }
}
