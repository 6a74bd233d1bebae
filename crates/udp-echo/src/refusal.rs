//! Which datagrams are not answered, whatever they say: those whose answer would hurt somebody (pure).
//!
//! A UDP server can't know who sent a datagram, only who is said to have. RFC 862 says to answer whatever
//! comes, and two servers that do so answer each other for ever once somebody has forged a datagram from
//! one to the other (CVE-2024-2169). `docs/security.md` says what is promised.

use crate::packets::Arrival;
use std::net::IpAddr;

/// Why a datagram gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It comes from a port that only a service would answer at: such a service answers the answer.
    Port,
    /// It comes from an address that stands for many hosts or none, or was sent to many.
    Address,
    /// It may be another server's answer, and has gone round often enough.
    Loop,
}

/// Ports below this are services' (RFC 6335, section 6), among them echo, daytime, qotd, chargen, DNS, TFTP,
/// NTP, `NetBIOS`, SNMP and CLDAP. Port 0 is nobody's.
const FIRST_OF_CLIENTS: u16 = 1024;

/// Ports from there on that answer whoever is said to have sent them something: those that are known from
/// attacks (CISA alert TA14-017A and its successors), this project's own, and those of measuring tools
/// that echo. None of those from which systems choose a client's port (from 32,768 on Linux): who has one of
/// these by chance must not be taken for a service.
#[rustfmt::skip]
const REFLECTORS: [u16; 29] = [
    1194, 1434, 1604, 1645, 1812, 1900, 2112, 2123, 3283, 3389, 3478, 3702, 4500, 5060, 5349, 5351, 5353,
    5683, 6881, 10_001, 10_074, 11_111, 11_211, 17_185, crate::DEFAULT_PORT, 27_015, 27_960, 32_410, 32_414,
];

/// The hops that a reply to what may be another server's answer gets at most: the usual number (the one
/// that RFC 1700 recommends).
const MOST_HOPS: u8 = 64;

/// Whether a datagram of this arrival gets an answer, going by who is said to have sent it, at a server whose
/// own ports are `own`.
pub(crate) fn by_sender(arrival: &Arrival, own: &[u16]) -> Result<(), Refusal> {
    let port = arrival.peer.port();
    if port < FIRST_OF_CLIENTS || own.contains(&port) || REFLECTORS.contains(&port) {
        return Err(Refusal::Port);
    }
    let stands_for_one = match arrival.peer.ip() {
        IpAddr::V4(ip) => !(ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified()),
        IpAddr::V6(ip) => !(ip.is_multicast() || ip.is_unspecified()),
    };
    if arrival.to_many || !stands_for_one { Err(Refusal::Address) } else { Ok(()) }
}

/// How many hops the answer to this arrival may go, if it `could_be_a_reply` itself: one fewer than it has
/// left, as if a router had passed it on. Two servers that answer each other take a hop away each time,
/// and end as packets in a circle of routers do; a client's requests, however often it repeats them, have
/// all their hops each time.
pub(crate) fn hops(arrival: &Arrival, could_be_a_reply: bool) -> Result<Option<u8>, Refusal> {
    let (true, Some(left)) = (could_be_a_reply, arrival.hops) else { return Ok(None) };
    match left.saturating_sub(1).min(MOST_HOPS) {
        0 => Err(Refusal::Loop),
        hops => Ok(Some(hops)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_service::ArrivalTime;
    use std::time::Instant;

    fn from(peer: &str) -> Arrival {
        Arrival {
            peer: peer.parse().unwrap(),
            to_many: false,
            hops: None,
            length: 4,
            each: 4,
            since: ArrivalTime::Program(Instant::now()),
        }
    }

    #[test]
    fn services_ports_and_its_own_are_not_answered() {
        for port in [0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 520, 1023, 1900, 11_211]
        {
            let arrival = from(&format!("192.0.2.1:{port}"));
            assert_eq!(by_sender(&arrival, &[]), Err(Refusal::Port), "{port}");
        }
        assert_eq!(by_sender(&from("192.0.2.1:25000"), &[4000]), Err(Refusal::Port));
        assert_eq!(by_sender(&from("192.0.2.1:4000"), &[4000]), Err(Refusal::Port));
        assert_eq!(by_sender(&from("192.0.2.1:4001"), &[4000]), Ok(()));
        assert_eq!(by_sender(&from("[2001:db8::1]:50000"), &[4000]), Ok(()));
    }

    #[test]
    fn no_clients_port_is_taken_for_a_services() {
        assert!(REFLECTORS.iter().all(|port| (FIRST_OF_CLIENTS..32_768).contains(port)));
    }

    #[test]
    fn addresses_that_stand_for_many_or_none_are_not_answered() {
        for peer in [
            "224.0.0.1:5000",
            "255.255.255.255:5000",
            "0.0.0.0:5000",
            "[ff02::1]:5000",
            "[::]:5000",
        ] {
            assert_eq!(by_sender(&from(peer), &[]), Err(Refusal::Address), "{peer}");
        }
        let to_many = Arrival { to_many: true, ..from("192.0.2.1:5000") };
        assert_eq!(by_sender(&to_many, &[]), Err(Refusal::Address));
    }

    #[test]
    fn a_circle_of_two_servers_ends_and_a_client_goes_on() {
        let at = |hops| Arrival { hops: Some(hops), ..from("192.0.2.1:5000") };
        let mut left = 255;
        let mut rounds = 0;
        while let Ok(Some(hops)) = hops(&at(left), true) {
            left = hops;
            rounds += 1;
        }
        assert_eq!(rounds, 64);
        // Text with small letters is nobody's answer in upper case, and needs no such care.
        assert_eq!(hops(&at(1), false), Ok(None));
        // Where the hops are not told there is nothing to count.
        assert_eq!(hops(&from("192.0.2.1:5000"), true), Ok(None));
        for _ in 0..1000 {
            assert_eq!(hops(&at(57), true), Ok(Some(56)));
        }
    }
}
