//! Source ports that a client of this project does not use, and that the UDP server refuses.
//!
//! A UDP server cannot verify the source of a datagram. If the source port is the port of a service, the service could
//! answer the reply.

/// The first port that a client can use. Lower ports are reserved for services (RFC 6335, section 6), among
/// them echo, daytime, qotd, chargen, DNS, TFTP, NTP, `NetBIOS`, SNMP and CLDAP. Port 0 is not a valid source.
pub const FIRST_CLIENT_PORT: u16 = 1024;

/// Ports of services that answer datagrams with a forged source. Attackers use such services to send traffic
/// to a victim (reflection). The list contains services known from attacks (CISA alert TA14-017A and its
/// successors). It also contains the port of this project and the ports of measuring tools that echo.
///
/// If a client does not choose its port, Linux chooses one from 32,768 up by default. The list contains no such port.
#[rustfmt::skip]
const REFLECTOR_PORTS: [u16; 29] = [
    1194, 1434, 1604, 1645, 1812, 1900, 2112, 2123, 3283, 3389, 3478, 3702, 4500, 5060, 5349, 5351, 5353,
    5683, 6881, 10_001, 10_074, 11_111, 11_211, 17_185, 25_000, 27_015, 27_960, 32_410, 32_414,
];

/// Whether the port belongs to a service. A client does not use such a source port.
#[must_use]
pub fn is_service_port(port: u16) -> bool {
    port < FIRST_CLIENT_PORT || REFLECTOR_PORTS.contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_and_reflector_ports_belong_to_services() {
        for port in [0, 7, 53, 1023, 1900, 11_211, 25_000] {
            assert!(is_service_port(port), "{port}");
        }
        for port in [1024, 24_999, 32_768, u16::MAX] {
            assert!(!is_service_port(port), "{port}");
        }
    }

    #[test]
    fn reflector_ports_are_outside_the_default_range_of_client_ports() {
        assert!(REFLECTOR_PORTS.iter().all(|port| (FIRST_CLIENT_PORT..32_768).contains(port)));
    }
}
