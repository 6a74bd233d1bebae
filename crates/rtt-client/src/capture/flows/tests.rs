//! Tests with scripted packets and their expected roles and exchanges. The tests of each protocol are in its folder.

use super::*;
use crate::capture::dissect::ProtocolPacket;
use crate::capture::flow::FlowSide::{Client, Server};
use crate::capture::role::{Detail, PacketRole};
use crate::capture::script::{CLIENT, SERVER, Script, dissector_of, packet_from, rtts, totals};
use crate::model::icmp::IcmpError;

#[test]
fn request_and_reply_datagrams_are_one_exchange() {
    let script = Script::default().datagram(Client, b"hello").pause(100).datagram(Server, b"HELLO");
    assert_eq!(script.roles(), ["request", "reply"]);
    let flow = script.flow();
    assert_eq!((flow.client, flow.server), (CLIENT.parse().unwrap(), SERVER.parse().unwrap()));
    assert_eq!(rtts(&flow), [Some(110)]);
    let totals = totals(flow);
    assert_eq!((totals.packets, totals.wire_bytes, totals.payload_bytes), (2, 94, 10));
    assert_eq!((totals.round_trips, totals.closed_by), (Some(1), None));
}

#[test]
fn reordered_and_duplicate_datagrams_are_assigned_by_their_content() {
    let flow = Script::default()
        .datagram(Client, b"one")
        .datagram(Client, b"two")
        .datagram(Server, b"TWO")
        .datagram(Server, b"ONE")
        .datagram(Server, b"ONE")
        .flow();
    let exchanges: Vec<_> = flow.packets.iter().map(|packet| packet.exchange).collect();
    assert_eq!(exchanges, [Some(1), Some(2), Some(2), Some(1), Some(1)]);
    assert_eq!(flow.packets[4].detail, Some(Detail::DuplicateReply));
    // The first of the two replies `ONE` determines the RTT.
    assert_eq!(rtts(&flow)[0], Some(30));
}

#[test]
fn reply_of_another_service_belongs_to_the_oldest_open_request() {
    let flow = Script::default()
        .datagram(Client, b"A? example.net")
        .datagram(Client, b"AAAA? example.net")
        .datagram(Server, b"192.0.2.1")
        .datagram(Server, b"2001:db8::1")
        .flow();
    let replies: Vec<_> =
        flow.packets[2..].iter().map(|packet| (packet.exchange, packet.detail)).collect();
    assert_eq!(replies, [(Some(1), None), (Some(2), None)]);
}

#[test]
fn last_fragment_completes_the_reply() {
    let fragment = PacketKind::Fragment { ip_protocol: 17 };
    let flow = Script::default()
        .datagram(Client, b"hello")
        .datagram(Server, b"HELLO")
        .packet(Server, fragment, b" THERE")
        .flow();
    let last = flow.packets.last().unwrap();
    assert_eq!((last.role, last.sender, last.exchange), (PacketRole::Fragment, Server, Some(1)));
    assert_eq!(rtts(&flow), [Some(20)]);
}

#[test]
fn refusal_of_a_datagram_has_the_role_icmp_error() {
    let script = Script::default().datagram(Client, b"hello").packet(
        Server,
        icmp_error_about(packet_from(Client, "udp", &[0; 8])),
        b"",
    );
    assert_eq!(script.roles(), ["request", "icmp-error"]);
    assert_eq!(script.flow().packets[1].sender, Server);
    assert_eq!(rtts(&script.flow()), [None]);
}

#[test]
fn fragment_of_another_protocol_is_skipped() {
    let script = Script::default().datagram(Client, b"hello");
    let script = script.packet(Server, PacketKind::Fragment { ip_protocol: 6 }, b"x");
    assert_eq!(script.table().skipped, 1);
}

#[test]
fn table_of_a_measurement_contains_only_its_flows() {
    let protocol = |name| dissector_of(name).protocol();
    let clients = [CLIENT.parse().unwrap()];
    let own = measured(protocol("udp"), &clients);
    let other_client = ["10.0.0.1:5556".parse().unwrap()];
    for (measured, is_in_table) in [
        (own, true),
        (MeasuredFlows { clients: &other_client, ..own }, false),
        (MeasuredFlows { server: "10.0.0.3:12000".parse().unwrap(), ..own }, false),
        (MeasuredFlows { server: "10.0.0.2:12001".parse().unwrap(), ..own }, false),
        (MeasuredFlows { protocol: protocol("tcp"), ..own }, false),
    ] {
        let script = Script::default().datagram(Client, b"hello");
        let table = FlowTable::of_measurement(&script.packets, 1, measured);
        assert_eq!(table.flows.len(), usize::from(is_in_table), "{measured:?}");
    }
}

fn measured<'a>(protocol: &'static Protocol, clients: &'a [SocketAddr]) -> MeasuredFlows<'a> {
    let lengths = MessageLengths { request: 5, reply: 5 };
    MeasuredFlows { protocol, server: SERVER.parse().unwrap(), clients, lengths: Some(lengths) }
}

fn icmp_error_about(quoted: ProtocolPacket) -> PacketKind {
    let error = IcmpError { is_v6: false, kind: 3, code: 3, from: None };
    PacketKind::IcmpError { error, quoted }
}

/// A TCP packet between two addresses. The header has these flags.
fn segment(source: SocketAddr, destination: SocketAddr, flags: u8) -> Option<Packet> {
    let mut header = [0; 20];
    (header[12], header[13]) = (0x50, flags);
    let packet = packet_from(Client, "tcp", &header);
    let kind = PacketKind::Protocol(ProtocolPacket { source, destination, ..packet });
    let mut packets = Script::default().packet(Client, kind, b"").packets;
    packets.remove(0)
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

#[test]
fn server_that_sends_first_is_not_the_client_of_a_measurement() {
    // The sequence numbers of the two segments differ by almost 2 GiB, and the requests have 5 bytes.
    let far = |sequence: u32| {
        let mut header = [0; 20];
        header[4..8].copy_from_slice(&sequence.to_be_bytes());
        (header[12], header[13]) = (0x50, ACK);
        PacketKind::Protocol(packet_from(Server, "tcp", &header))
    };
    let script = Script::default().packet(Server, far(1), b"x").packet(Server, far(1 << 31), b"x");
    let clients = [CLIENT.parse().unwrap()];
    let measured = measured(dissector_of("tcp").protocol(), &clients);
    let table = FlowTable::of_measurement(&script.packets, 1, measured);
    let [flow] = &table.flows[..] else { panic!("{table:?}") };
    assert_eq!((flow.client, flow.server), (clients[0], measured.server));
    assert!(flow.packets.iter().all(|packet| packet.sender == Server));
    assert_eq!(flow.exchanges.len(), 0);
}

#[test]
fn packets_to_other_ports_do_not_displace_the_flow_of_a_measurement() {
    const COUNT: u16 = 1000;
    assert_eq!(usize::from(COUNT), MAX_FLOWS);
    let [client, server]: [SocketAddr; 2] =
        [CLIENT, SERVER].map(|address| address.parse().unwrap());
    let other = |port| SocketAddr::new(client.ip(), port);
    let from_server = (10_000..10_000 + 2 * COUNT).map(|port| segment(server, other(port), ACK));
    let to_server = (20_000..20_000 + 2 * COUNT).map(|port| segment(other(port), server, SYN));
    let own = [segment(client, server, SYN), segment(server, client, SYN | ACK)];
    let packets: Vec<_> = from_server.chain(to_server).chain(own).collect();
    let clients = [client];
    let measured = measured(dissector_of("tcp").protocol(), &clients);
    let table = FlowTable::of_measurement(&packets, 1, measured);
    let own = table.flows.iter().find(|flow| flow.client == client).unwrap();
    assert_eq!(own.packets.len(), 2);
    // The local address of a failed connection is not known, so these flows stay up to the limit.
    assert_eq!(table.flows.len(), 1 + MAX_FLOWS);
    assert_eq!(table.beyond_limit, MAX_FLOWS);
}

#[test]
fn forged_icmp_error_starts_no_connection_of_a_measurement() {
    let error = icmp_error_about(packet_from(Client, "tcp", &[0; 8]));
    let script = Script::default().packet(Server, error, b"");
    let table = FlowTable::of_measurement(
        &script.packets,
        1,
        measured(dissector_of("tcp").protocol(), &[]),
    );
    assert!(table.flows.is_empty(), "{table:?}");
}

#[test]
fn icmp_error_belongs_to_the_failed_connection_that_it_quotes() {
    let quoted = packet_from(Client, "tcp", &[0; 8]);
    let [client, server] = [quoted.source, quoted.destination];
    let error = icmp_error_about(quoted);
    let mut script = Script::default().packet(Server, error, b"");
    script.packets.insert(0, segment(client, server, SYN));
    for (address, packets) in [(SERVER, Some(2)), ("10.0.0.3:12000", None)] {
        let measured = MeasuredFlows {
            server: address.parse().unwrap(),
            ..measured(dissector_of("tcp").protocol(), &[])
        };
        let table = FlowTable::of_measurement(&script.packets, 1, measured);
        assert_eq!(table.flows.first().map(|flow| flow.packets.len()), packets, "{address}");
    }
}

#[test]
fn packets_of_a_file_after_the_maximum_number_of_flows_are_counted() {
    let server: SocketAddr = SERVER.parse().unwrap();
    let clients = (40_000..).map(|port| SocketAddr::new([10, 0, 0, 1].into(), port));
    let packets = clients.take(MAX_FLOWS + 7).map(|client| segment(client, server, SYN));
    let table = FlowTable::of_file(packets);
    assert_eq!((table.flows.len(), table.beyond_limit, table.skipped), (MAX_FLOWS, 7, 7));
}

#[test]
fn packets_of_a_refused_flow_do_not_enter_an_earlier_flow() {
    let server: SocketAddr = SERVER.parse().unwrap();
    let client = |port| SocketAddr::new([10, 0, 0, 1].into(), port);
    let first = client(40_000);
    let others = (40_001..).map(client).take(MAX_FLOWS - 1);
    let mut packets = vec![segment(first, server, RST)];
    packets.extend(others.map(|client| segment(client, server, SYN)));
    // A second connection between the endpoints of the first flow, and a fragment between the same hosts.
    let second = [(first, server, SYN), (server, first, SYN | ACK), (first, server, ACK)];
    packets.extend(second.map(|(source, destination, flags)| segment(source, destination, flags)));
    packets.extend(
        Script::default().packet(Server, PacketKind::Fragment { ip_protocol: 6 }, b"x").packets,
    );
    let table = FlowTable::of_file(packets);
    assert_eq!((table.flows.len(), table.beyond_limit, table.skipped), (MAX_FLOWS, 4, 4));
    assert!(table.flows.iter().all(|flow| flow.packets.len() == 1));
}

#[test]
fn later_syn_shows_the_direction_of_a_connection_in_a_file() {
    // The packets of a connection from port 12000 to port 40000. The first one is no SYN, and the ports show the wrong
    // direction.
    let [a, b]: [SocketAddr; 2] =
        ["10.0.0.1:12000", "10.0.0.2:40000"].map(|address| address.parse().unwrap());
    let table =
        FlowTable::of_file([segment(a, b, ACK), segment(a, b, SYN), segment(b, a, SYN | ACK)]);
    let directions: Vec<_> = table.flows.iter().map(|flow| (flow.client, flow.server)).collect();
    assert_eq!(directions, [(b, a), (a, b)]);
    assert_eq!(table.flows[1].packets.len(), 2);
}
