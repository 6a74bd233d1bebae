//! ICMP errors: their names, and the condition that each error indicates.
//!
//! If a router or a host cannot deliver a packet, it sends an ICMP error to the sender of the packet. The types
//! and codes are from RFC 792, RFC 1122 (section 3.2.2.1), RFC 1812 (section 5.2.7.1) and RFC 4443.

use crate::model::condition::Condition;
use std::fmt;
use std::net::IpAddr;

/// An ICMP error about a packet that this program sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// Whether this is an `ICMPv6` error. The two versions use different types.
    pub is_v6: bool,
    /// The type. The name `type` is a keyword in Rust.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The address of the host that sent the error, if the system reports it.
    pub from: Option<IpAddr>,
}

impl IcmpError {
    /// The condition that the error indicates. Absent if the error does not mean that the packet was discarded (source
    /// quench, redirect), or if its code is unknown.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        match (self.is_v6, self.kind, self.code) {
            (false, 3, 0 | 6 | 8 | 11) | (true, 1, 0 | 2) => Some(Condition::NoRoute),
            (false, 3, 1 | 5 | 7 | 12) | (true, 1, 3) => Some(Condition::HostUnreachable),
            // For example in a routing loop.
            _ if self.is_time_exceeded() => Some(Condition::HostUnreachable),
            // "Protocol unreachable" and "next header unknown": the host does not support the protocol.
            (false, 3, 2 | 3) | (true, 1, 4) | (true, 4, 1) => Some(Condition::Refused),
            (false, 3, 9 | 10 | 13..=15) | (true, 1, 1 | 5 | 6) => Some(Condition::Prohibited),
            (false, 3, 4) | (true, 2, _) => Some(Condition::TooBig),
            _ => None,
        }
    }

    /// Whether the packet was discarded because its hop limit reached zero. It has not reached its destination.
    #[must_use]
    pub fn is_time_exceeded(&self) -> bool {
        matches!((self.is_v6, self.kind, self.code), (false, 11, 0) | (true, 3, 0))
    }

    /// Whether the last router could not reach the destination. Only this error is evidence that a host is down.
    #[must_use]
    pub fn is_host_unreachable(&self) -> bool {
        matches!((self.is_v6, self.kind, self.code), (false, 3, 1) | (true, 1, 3))
    }

    /// The name of this type and code, if the RFCs define one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        Some(match (self.is_v6, self.kind, self.code) {
            (false, 3, 0) => "network unreachable",
            (false, 3, 1) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) | (true, 1, 4) => "port unreachable",
            (false, 3, 4) => "fragmentation needed",
            (false, 3, 5) => "source route failed",
            (false, 3, 6) => "network unknown",
            (false, 3, 7) => "host unknown",
            (false, 3, 8) => "source host isolated",
            (false, 3, 9) => "network prohibited",
            (false, 3, 10) => "host prohibited",
            (false, 3, 11) => "network unreachable for this type of service",
            (false, 3, 12) => "host unreachable for this type of service",
            (false, 3, 13) | (true, 1, 1) => "communication prohibited",
            (false, 3, 14) => "precedence violation",
            (false, 3, 15) => "precedence cut off",
            (false, 11, 0) | (true, 3, 0) => "hop limit exceeded in transit",
            (false, 11, 1) | (true, 3, 1) => "fragment reassembly time exceeded",
            (true, 1, 0) => "no route to destination",
            (true, 1, 2) => "beyond the scope of the source address",
            (true, 1, 3) => "address unreachable",
            (true, 1, 5) => "source address failed policy",
            (true, 1, 6) => "reject route to destination",
            // The receiver ignores the code (RFC 4443, section 3.2).
            (true, 2, _) => "packet too big",
            (false, 4, 0) => "source quench",
            (false, 5, 0) => "redirect for the network",
            (false, 5, 1) => "redirect for the host",
            (false, 5, 2) => "redirect for the type of service and the network",
            (false, 5, 3) => "redirect for the type of service and the host",
            (false, 12, 0) => "invalid header field",
            (false, 12, 1) => "required option missing",
            (false, 12, 2) => "invalid length",
            (true, 4, 0) => "erroneous header field",
            (true, 4, 1) => "next header unknown",
            (true, 4, 2) => "unknown IPv6 option",
            _ => return None,
        })
    }
}

impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, code, .. } = self;
        let protocol = if self.is_v6 { "ICMPv6" } else { "ICMP" };
        write!(f, "{protocol} type {kind} code {code}")?;
        if let Some(name) = self.name() {
            write!(f, " ({name})")?;
        }
        match self.from {
            Some(from) => write!(f, " from {from}"),
            None => f.write_str(" from an unknown host"),
        }
    }
}

/// The source from which the client learned of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The operating system of this host. It did not send the packet.
    ThisHost,
    /// A reset, or the end of the connection, from the peer's address. A firewall can send a reset with
    /// this address, too.
    Peer,
    /// An ICMP error from a router, a firewall or the peer.
    Icmp(IcmpError),
    /// The system reported an error, but not its origin.
    Unknown,
}

impl Origin {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ThisHost => "this-host",
            Self::Peer => "peer",
            Self::Icmp(_) => "icmp",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error, and the condition that it indicates.
    type Case = (u8, u8, Option<Condition>);

    const NO_ROUTE: Option<Condition> = Some(Condition::NoRoute);
    const UNREACHABLE: Option<Condition> = Some(Condition::HostUnreachable);
    const REFUSED: Option<Condition> = Some(Condition::Refused);
    const PROHIBITED: Option<Condition> = Some(Condition::Prohibited);
    const TOO_BIG: Option<Condition> = Some(Condition::TooBig);

    /// All types and codes of errors over IPv4 (RFC 792, RFC 1122, RFC 1812).
    #[rustfmt::skip]
    const V4: [Case; 26] = [
        (3, 0, NO_ROUTE), (3, 1, UNREACHABLE), (3, 2, REFUSED), (3, 3, REFUSED), (3, 4, TOO_BIG),
        (3, 5, UNREACHABLE), (3, 6, NO_ROUTE), (3, 7, UNREACHABLE), (3, 8, NO_ROUTE), (3, 9, PROHIBITED),
        (3, 10, PROHIBITED), (3, 11, NO_ROUTE), (3, 12, UNREACHABLE), (3, 13, PROHIBITED), (3, 14, PROHIBITED),
        (3, 15, PROHIBITED), (4, 0, None), (5, 0, None), (5, 1, None), (5, 2, None), (5, 3, None),
        (11, 0, UNREACHABLE), (11, 1, None), (12, 0, None), (12, 1, None), (12, 2, None),
    ];

    /// All types and codes of errors over IPv6 (RFC 4443).
    #[rustfmt::skip]
    const V6: [Case; 13] = [
        (1, 0, NO_ROUTE), (1, 1, PROHIBITED), (1, 2, NO_ROUTE), (1, 3, UNREACHABLE), (1, 4, REFUSED),
        (1, 5, PROHIBITED), (1, 6, PROHIBITED), (2, 0, TOO_BIG), (3, 0, UNREACHABLE), (3, 1, None),
        (4, 0, None), (4, 1, REFUSED), (4, 2, None),
    ];

    fn error(is_v6: bool, kind: u8, code: u8) -> IcmpError {
        IcmpError { is_v6, kind, code, from: None }
    }

    #[test]
    fn every_type_and_code_of_the_rfcs_has_a_name_and_its_condition() {
        for (is_v6, cases) in [(false, &V4[..]), (true, &V6[..])] {
            for &(kind, code, condition) in cases {
                let icmp = error(is_v6, kind, code);
                assert_eq!(icmp.condition(), condition, "{icmp}");
                assert!(icmp.name().is_some(), "{icmp}");
            }
        }
    }

    #[test]
    fn unknown_types_and_codes_indicate_no_condition() {
        for (is_v6, cases) in [(false, &V4[..]), (true, &V6[..])] {
            for (kind, code) in
                (0..=u8::MAX).flat_map(|kind| (0..=u8::MAX).map(move |code| (kind, code)))
            {
                let is_listed = cases.iter().any(|case| (case.0, case.1) == (kind, code));
                let icmp = error(is_v6, kind, code);
                let is_too_big = is_v6 && kind == 2;
                assert!(is_listed || is_too_big || icmp.condition().is_none(), "{icmp}");
            }
        }
    }

    #[test]
    fn displayed_error_includes_its_sender() {
        let from = Some("192.0.2.1".parse().unwrap());
        let icmp = IcmpError { is_v6: false, kind: 3, code: 13, from };
        let text = "ICMP type 3 code 13 (communication prohibited) from 192.0.2.1";
        assert_eq!(icmp.to_string(), text);
    }
}
