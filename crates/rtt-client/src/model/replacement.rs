//! [`Replacement`]: the client replaced a channel that did not work by a new one.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A channel (a connection, or a socket without a connection) that the client replaced during a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// From the start of the series to the replacement.
    pub after: Duration,
    /// Why the client tried another channel.
    pub reason: ReplacementReason,
    /// Why the client uses the other channel.
    pub evidence: ReplacementEvidence,
    /// The source address of the old channel, if the system reports it.
    pub old_source: Option<IpAddr>,
    /// The source address of the new channel, if the system reports it.
    pub new_source: Option<IpAddr>,
}

/// The reason why the client tried another channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacementReason {
    /// This number of requests in a row had no reply.
    NoReply(u32),
    /// This host could not send a request.
    NotSent,
}

/// The evidence that the new channel is better than the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacementEvidence {
    /// A new connection was established while the old one did not work.
    Established,
    /// A new socket has another source address: the addresses or the routes of this host have changed.
    OtherSource,
}

impl ReplacementReason {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoReply(_) => "no-reply",
            Self::NotSent => "not-sent",
        }
    }
}

impl ReplacementEvidence {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Established => "connection-established",
            Self::OtherSource => "other-source-address",
        }
    }
}

/// One sentence for a person.
impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = match self.evidence {
            ReplacementEvidence::Established => "connection",
            ReplacementEvidence::OtherSource => "socket",
        };
        let seconds = self.after.as_secs_f64();
        write!(f, "The client opened a new {channel} {seconds:.1} s after the start: ")?;
        match self.reason {
            ReplacementReason::NoReply(1) => f.write_str("1 request had no reply")?,
            ReplacementReason::NoReply(requests) => {
                write!(f, "{requests} requests in a row had no reply")?;
            }
            ReplacementReason::NotSent => f.write_str("this host could not send a request")?,
        }
        if self.evidence == ReplacementEvidence::Established {
            f.write_str(", and a new connection was established")?;
        }
        match (self.old_source, self.new_source) {
            (Some(old), Some(new)) if old != new => {
                write!(f, ", and the source address changed from {old} to {new}.")
            }
            _ => f.write_str("."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_has_the_reason_and_the_evidence() {
        let [old, new] = ["192.0.2.1", "192.0.2.3"].map(|ip| Some(ip.parse().unwrap()));
        let connection = Replacement {
            after: Duration::from_millis(3_210),
            reason: ReplacementReason::NoReply(2),
            evidence: ReplacementEvidence::Established,
            old_source: old,
            new_source: old,
        };
        assert_eq!(
            connection.to_string(),
            "The client opened a new connection 3.2 s after the start: 2 requests in a row had no reply, and a \
             new connection was established."
        );
        let moved = Replacement { new_source: new, ..connection }.to_string();
        let end = "established, and the source address changed from 192.0.2.1 to 192.0.2.3.";
        assert!(moved.ends_with(end), "{moved}");
        let (reason, evidence) = (ReplacementReason::NotSent, ReplacementEvidence::OtherSource);
        assert_eq!(
            Replacement { reason, evidence, new_source: new, ..connection }.to_string(),
            "The client opened a new socket 3.2 s after the start: this host could not send a request, and the \
             source address changed from 192.0.2.1 to 192.0.2.3."
        );
    }
}
