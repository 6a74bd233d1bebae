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
fn only_flows_of_the_measurement_are_retained() {
    let protocol = |name| dissector_of(name).protocol();
    let udp = protocol("udp");
    let own = MeasuredFlows {
        protocol: udp,
        server: SERVER.parse().unwrap(),
        clients: &[CLIENT.parse().unwrap()],
    };
    let other_client = ["10.0.0.1:5556".parse().unwrap()];
    for (measured, is_retained) in [
        (own, true),
        (MeasuredFlows { clients: &other_client, ..own }, false),
        (MeasuredFlows { server: "10.0.0.3:12000".parse().unwrap(), ..own }, false),
        (MeasuredFlows { server: "10.0.0.2:12001".parse().unwrap(), ..own }, false),
        (MeasuredFlows { protocol: protocol("tcp"), ..own }, false),
    ] {
        let mut table = Script::default().datagram(Client, b"hello").table();
        table.retain_measured(measured);
        assert_eq!(table.flows.len(), usize::from(is_retained), "{measured:?}");
    }
}

#[test]
fn icmp_error_about_a_connection_to_another_server_is_not_retained() {
    let script = Script::default().packet(
        Server,
        icmp_error_about(packet_from(Client, "tcp", &[0; 8])),
        b"",
    );
    for (server, flows) in [(SERVER, 1), ("10.0.0.3:12000", 0)] {
        let mut table = script.table();
        table.retain_measured(MeasuredFlows {
            protocol: dissector_of("tcp").protocol(),
            server: server.parse().unwrap(),
            clients: &[],
        });
        assert_eq!(table.flows.len(), flows, "{server}");
    }
}

fn icmp_error_about(quoted: ProtocolPacket) -> PacketKind {
    let error = IcmpError { is_v6: false, kind: 3, code: 3, from: None };
    PacketKind::IcmpError { error, quoted }
}
