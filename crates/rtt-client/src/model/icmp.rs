//! What a network says that does not deliver: an ICMP error, what it is called and what it means. Pure.
//!
//! The numbers are those of RFC 792, RFC 1122 (section 3.2.2.1), RFC 1812 (section 5.2.7.1) and RFC 4443.

use crate::model::condition::Condition;
use std::fmt;
use std::net::IpAddr;

/// An ICMP error about a packet of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// Whether it is of IPv6's kind.
    pub is_v6: bool,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// The host that sent it, where the system tells.
    pub from: Option<IpAddr>,
}

impl IcmpError {
    /// The condition that it tells of, if it tells of one.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        match (self.is_v6, self.kind, self.code) {
            (false, 3, 0 | 6 | 8 | 11) | (true, 1, 0 | 2) => Some(Condition::NoRoute),
            // With the types 11 and 3 it went round until its hops were used up.
            (false, 3, 1 | 5 | 7 | 12) | (true, 1, 3) | (false, 11, 0) | (true, 3, 0) => {
                Some(Condition::HostUnreachable)
            }
            // "Next header unknown": the host speaks, and has no such protocol.
            (false, 3, 2 | 3) | (true, 1, 4) | (true, 4, 1) => Some(Condition::Refused),
            (false, 3, 9 | 10 | 13..=15) | (true, 1, 1 | 5 | 6) => Some(Condition::Prohibited),
            _ => None,
        }
    }

    /// What its type and code are called, if they have a name.
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
            (true, 2, 0) => "packet too big",
            (true, 4, 1) => "next header unknown",
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
            None => f.write_str(" from a host that is not told"),
        }
    }
}

/// Who said that an exchange can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This host's own system, which sent nothing.
    ThisHost,
    /// Whoever answers at the peer's address: its reset, or its end of the connection.
    Peer,
    /// A host on the way, or the peer's, in an ICMP error.
    Icmp(IcmpError),
    /// Somebody; this system does not tell who.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_means_a_condition_has_a_name() {
        for is_v6 in [false, true] {
            for (kind, code) in
                (0..=u8::MAX).flat_map(|kind| (0..=20).map(move |code| (kind, code)))
            {
                let icmp = IcmpError { is_v6, kind, code, from: None };
                if icmp.condition().is_some() && code < 2 {
                    assert!(icmp.name().is_some(), "{icmp}");
                }
            }
        }
    }

    #[test]
    fn an_error_is_told_with_its_sender() {
        let from = Some("192.0.2.1".parse().unwrap());
        let icmp = IcmpError { is_v6: false, kind: 3, code: 13, from };
        let told = "ICMP type 3 code 13 (communication prohibited) from 192.0.2.1";
        assert_eq!(icmp.to_string(), told);
        assert_eq!(icmp.condition(), Some(Condition::Prohibited));
        let big = IcmpError { is_v6: true, kind: 2, code: 0, from: None };
        assert_eq!(big.condition(), None);
    }
}
