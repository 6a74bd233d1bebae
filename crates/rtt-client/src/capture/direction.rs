//! Determines which side of a flow is the client.
//!
//! When the program traces its own exchanges, it uses the known address of the server: the other side is the client. No
//! packet can change this.
//!
//! For a capture file, the first of these rules that applies to the first packet of a flow determines its sender:
//!
//! 1. The header shows the sender ([`Dissector::sender_of`](crate::capture::dissector::Dissector::sender_of)).
//! 2. Exactly one of the two ports is the default port of the protocol. It belongs to the server.
//! 3. Exactly one of the two ports is a system port (below 1024). It belongs to the server.
//! 4. Exactly one of the two ports is below the ports that systems assign to clients. It belongs to the server.
//! 5. The sender is the client.

use crate::capture::dissect::ProtocolPacket;
use crate::capture::flow::FlowSide;
use crate::model::protocol::Protocol;

/// The first port above the system ports (RFC 6335, section 6).
const SYSTEM_PORTS_END: u16 = 1024;

/// The first port that Linux assigns to clients by default (`net.ipv4.ip_local_port_range`). The range of RFC 6335
/// begins later, at 49152.
const FIRST_CLIENT_PORT: u16 = 32_768;

/// The side that sent the first packet of a flow of a capture file.
pub(super) fn first_sender(packet: &ProtocolPacket) -> FlowSide {
    let by_header = packet.dissector.sender_of(&packet.header);
    by_header.or_else(|| sender_by_ports(packet)).unwrap_or(FlowSide::Client)
}

/// The sender according to the ports. `None` if the ports do not show it.
fn sender_by_ports(packet: &ProtocolPacket) -> Option<FlowSide> {
    let Protocol { default_port, .. } = *packet.dissector.protocol();
    let default_port = default_port?;
    let [source, destination] = [packet.source.port(), packet.destination.port()];
    let rules: [&dyn Fn(u16) -> bool; 3] =
        [&|port| port == default_port, &|port| port < SYSTEM_PORTS_END, &|port| {
            port < FIRST_CLIENT_PORT
        }];
    rules.iter().find_map(|is_server| match (is_server(source), is_server(destination)) {
        (true, false) => Some(FlowSide::Server),
        (false, true) => Some(FlowSide::Client),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::script::{dissector_of, packet_from};

    fn sender_of_datagram(source: u16, destination: u16) -> FlowSide {
        let mut packet = packet_from(FlowSide::Client, "udp", &[0; 8]);
        packet.source.set_port(source);
        packet.destination.set_port(destination);
        first_sender(&packet)
    }

    #[test]
    fn ports_show_the_server_if_the_header_does_not() {
        let default_port = dissector_of("udp").protocol().default_port.unwrap();
        for (server, client) in [
            (default_port, 40_000),
            (default_port, 53),
            (53, 1024),
            (53, 40_000),
            (12_345, 40_000),
            (12_345, 65_535),
        ] {
            assert_eq!(sender_of_datagram(client, server), FlowSide::Client, "{client} {server}");
            assert_eq!(sender_of_datagram(server, client), FlowSide::Server, "{server} {client}");
        }
    }

    #[test]
    fn first_sender_is_the_client_if_the_ports_do_not_show_the_server() {
        for (source, destination) in [(53, 53), (53, 111), (2000, 3000), (40_000, 50_000)] {
            assert_eq!(sender_of_datagram(source, destination), FlowSide::Client);
            assert_eq!(sender_of_datagram(destination, source), FlowSide::Client);
        }
    }
}
