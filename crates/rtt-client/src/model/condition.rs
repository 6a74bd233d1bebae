//! What a target turned out to be, where it gave no reply: the [`Condition`], from what the system said.

use crate::model::icmp::Origin;
use std::{fmt, io, time::Duration};

/// What a client sees at a target. The names are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// An echo server answers.
    Answering,
    /// The name has no address.
    NameNotFound,
    /// Whether the name has an address could not be found out.
    NameLookupFailed,
    /// This host knows no way there.
    NoRoute,
    /// A way leads there, but its last step does not reach the host.
    HostUnreachable,
    /// The host says that nothing listens on the port.
    Refused,
    /// A firewall says that it does not let the packet through.
    Prohibited,
    /// Nothing came back.
    Silent,
    /// The peer ended the connection before its reply was complete.
    Closed,
    /// The peer broke the connection off.
    Reset,
    /// What came back is not the upper-cased text.
    WrongAnswer,
    /// This host forbids it.
    PermissionDenied,
}

impl Condition {
    /// The name that scripts see.
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
        }
    }

    /// What it means, and what it leaves open, for a person.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Answering => "an echo server answers",
            Self::NameNotFound => "there is no such address; is the name spelt right?",
            Self::NameLookupFailed => "the name could not be looked up; is a resolver reachable?",
            Self::NoRoute => "no way leads there, says this host or a router",
            Self::HostUnreachable => "the host can't be reached, says this host or a router",
            Self::Refused => "nothing listens there; is a server running?",
            Self::Prohibited => "a firewall on the way, or there, lets nothing through",
            Self::Silent => "no server, a firewall or a lost packet: they look the same from here",
            Self::Closed => "it accepts connections, but does not answer as an echo server",
            Self::Reset => "it accepted the connection and then broke it off",
            Self::WrongAnswer => "it answers, but it is no upper-case echo server",
            Self::PermissionDenied => {
                "this host forbids it: a firewall rule, or a broadcast address"
            }
        }
    }

    /// The condition that an error of the system tells of, if it tells of one.
    #[must_use]
    pub fn from_error(error: &io::Error) -> Option<Self> {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Some(Self::Refused),
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Some(Self::Reset),
            Kind::HostUnreachable => Some(Self::HostUnreachable),
            // An address family that this host has no address of is no way there either.
            Kind::NetworkUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
                Some(Self::NoRoute)
            }
            Kind::PermissionDenied => Some(Self::PermissionDenied),
            Kind::TimedOut | Kind::WouldBlock => Some(Self::Silent),
            _ => error.raw_os_error().and_then(Self::of_number),
        }
    }
}

/// Errors that std has no kind for: what Linux makes of ICMP messages (net/ipv4/icmp.c, the table
/// `icmp_err_convert`) and of addresses that this host can't use.
#[cfg(target_os = "linux")]
impl Condition {
    fn of_number(errno: i32) -> Option<Self> {
        use nix::errno::Errno;
        match Errno::from_raw(errno) {
            // "Protocol unreachable": the host speaks, and has no such protocol.
            Errno::ENOPROTOOPT => Some(Self::Refused),
            Errno::EHOSTDOWN | Errno::ENONET | Errno::EPROTO | Errno::EOPNOTSUPP => {
                Some(Self::HostUnreachable)
            }
            // EINVAL is what a link-local address without its zone gets.
            Errno::EAFNOSUPPORT | Errno::EINVAL => Some(Self::NoRoute),
            _ => None,
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Condition {
    fn of_number(_: i32) -> Option<Self> {
        None
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An exchange that came to nothing, and what is known about why.
#[derive(Debug)]
pub struct Failure {
    /// What the client saw.
    pub condition: Condition,
    /// The system's own words, where it said something.
    pub error: Option<io::Error>,
    /// How long it took to know.
    pub after: Duration,
    /// Who said so, where somebody did.
    pub origin: Option<Origin>,
    /// What was seen, beyond the condition.
    pub detail: Option<String>,
}

impl Failure {
    /// A condition that nobody told of: it was seen.
    pub(crate) fn new(condition: Condition, after: Duration) -> Self {
        Self { condition, error: None, after, origin: None, detail: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.condition)?;
        if self.condition == Condition::Silent {
            write!(f, " for {:.3} s", self.after.as_secs_f64())?;
        }
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        match self.origin {
            Some(Origin::Icmp(icmp)) => write!(f, ", says {icmp}")?,
            Some(Origin::ThisHost) => f.write_str(", says this host")?,
            Some(Origin::Peer | Origin::Unknown) | None => {}
        }
        write!(f, ": {}", self.condition.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn the_systems_error_tells_the_condition() {
        for (kind, condition) in [
            (ErrorKind::ConnectionRefused, Some(Condition::Refused)),
            (ErrorKind::ConnectionReset, Some(Condition::Reset)),
            (ErrorKind::BrokenPipe, Some(Condition::Reset)),
            (ErrorKind::HostUnreachable, Some(Condition::HostUnreachable)),
            (ErrorKind::NetworkUnreachable, Some(Condition::NoRoute)),
            (ErrorKind::PermissionDenied, Some(Condition::PermissionDenied)),
            (ErrorKind::TimedOut, Some(Condition::Silent)),
            (ErrorKind::OutOfMemory, None),
            (ErrorKind::AddrInUse, None),
        ] {
            assert_eq!(Condition::from_error(&kind.into()), condition, "{kind}");
        }
        #[cfg(target_os = "linux")]
        for (errno, condition) in [
            (nix::errno::Errno::ENOPROTOOPT, Some(Condition::Refused)),
            (nix::errno::Errno::EHOSTDOWN, Some(Condition::HostUnreachable)),
            (nix::errno::Errno::EAFNOSUPPORT, Some(Condition::NoRoute)),
            (nix::errno::Errno::EMFILE, None),
        ] {
            assert_eq!(Condition::from_error(&errno.into()), condition, "{errno}");
        }
    }
}
