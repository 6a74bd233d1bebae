//! Tests with scripted packets and their expected roles and exchanges.

use super::*;
use crate::capture::dissect::{LayerSizes, TcpHeader};
use crate::capture::flow::FlowSide::{self, Client, Server};
use crate::capture::role::Detail;
use crate::capture::totals::{ClosedBy, Totals};
use crate::model::icmp::IcmpError;
use proptest::prelude::*;
use std::time::Duration;

const CLIENT: &str = "10.0.0.1:5555";
const SERVER: &str = "10.0.0.2:12000";

/// Builds the packets of one flow. The interval between two packets is 10 µs plus the pauses.
#[derive(Default)]
struct Script {
    packets: Vec<Option<Packet>>,
    now: Duration,
}

impl Script {
    /// A connection after its handshake. The first byte from the client has the sequence number 101, and the
    /// first byte from the server has 201.
    fn connection() -> Self {
        Self::default()
            .segment(Client, "S", 100, b"")
            .segment(Server, "SA", 200, b"")
            .segment(Client, "A", 101, b"")
    }

    fn pause(mut self, microseconds: u64) -> Self {
        self.now += Duration::from_micros(microseconds);
        self
    }

    fn datagram(self, sender: FlowSide, payload: &[u8]) -> Self {
        self.packet(sender, PacketKind::Udp, payload)
    }

    /// Adds a segment. `flags` can contain S (SYN), A (ACK), F (FIN) and R (RST).
    fn segment(self, sender: FlowSide, flags: &str, sequence: u32, payload: &[u8]) -> Self {
        let header = TcpHeader {
            sequence,
            acknowledgement: 0,
            syn: flags.contains('S'),
            ack: flags.contains('A'),
            fin: flags.contains('F'),
            rst: flags.contains('R'),
        };
        self.packet(sender, PacketKind::Tcp(header), payload)
    }

    fn packet(mut self, sender: FlowSide, kind: PacketKind, payload: &[u8]) -> Self {
        self.now += Duration::from_micros(10);
        let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        let (source, destination) = match sender {
            Client => (client, server),
            Server => (server, client),
        };
        let transport = if kind == PacketKind::Udp { 8 } else { 20 };
        self.packets.push(Some(Packet {
            time: self.now,
            sizes: LayerSizes { link: 14, ip: 20, transport, payload: payload.len() },
            source,
            destination,
            kind,
            payload: payload.to_vec(),
            is_truncated: false,
        }));
        self
    }

    fn table(&self) -> FlowTable {
        FlowTable::from_packets(&self.packets, 1, None)
    }

    /// The flow of the packets. The test fails if there is more than one flow.
    fn flow(&self) -> Flow {
        self.flow_with_lengths(None)
    }

    fn flow_with_lengths(&self, lengths: Option<MessageLengths>) -> Flow {
        let mut flows = FlowTable::from_packets(&self.packets, 1, lengths).flows;
        assert_eq!(flows.len(), 1);
        flows.remove(0)
    }

    fn roles(&self) -> Vec<&'static str> {
        self.flow().packets.iter().map(|packet| packet.role.name()).collect()
    }
}

/// The RTT of each exchange, in microseconds.
fn rtts(flow: &Flow) -> Vec<Option<u128>> {
    flow.exchanges.iter().map(|exchange| Some(exchange.rtt()?.as_micros())).collect()
}

fn totals(flow: Flow) -> Totals {
    Totals::of(&[flow])
}

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
fn each_segment_of_a_connection_has_a_role() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"hello")
        .segment(Server, "A", 201, b"")
        .segment(Server, "A", 201, b"HEL")
        .segment(Server, "A", 204, b"LO")
        .segment(Client, "A", 106, b"again")
        .segment(Server, "A", 206, b"AGAIN")
        .segment(Client, "FA", 111, b"")
        .segment(Server, "FA", 211, b"")
        .segment(Client, "A", 112, b"");
    assert_eq!(
        script.roles(),
        [
            "syn", "syn-ack", "ack", "request", "ack", "reply", "reply", "request", "reply", "fin",
            "fin", "ack"
        ]
    );
    let flow = script.flow();
    assert_eq!(rtts(&flow), [Some(30), Some(10)]);
    let totals = totals(flow);
    let closed_by = ClosedBy { connections: 1, client: 1, server: 0 };
    assert_eq!((totals.round_trips, totals.closed_by), (Some(2), Some(closed_by)));
}

#[test]
fn server_closes_the_connection_with_a_fin_in_its_reply() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"hello")
        .segment(Server, "FA", 201, b"HELLO");
    assert_eq!(script.roles()[3..], ["request", "reply"]);
    let flow = script.flow();
    assert_eq!(flow.packets[4].detail, Some(Detail::WithFin));
    let closed_by = ClosedBy { connections: 1, client: 0, server: 1 };
    assert_eq!(totals(flow).closed_by, Some(closed_by));
}

#[test]
fn totals_count_the_closing_side_of_every_connection() {
    let close_first = |sender: FlowSide| {
        let (sequence, other) = if sender == Client { (101, Server) } else { (201, Client) };
        let script = Script::connection().segment(sender, "FA", sequence, b"");
        script.segment(other, "FA", if other == Client { 101 } else { 201 }, b"").flow()
    };
    let open = Script::connection().flow();
    let flows = [close_first(Server), close_first(Client), close_first(Client), open];
    let expected = ClosedBy { connections: 4, client: 2, server: 1 };
    assert_eq!(Totals::of(&flows).closed_by, Some(expected));
}

#[test]
fn repeated_segment_is_a_retransmission() {
    let request = Script::connection()
        .segment(Client, "A", 101, b"hello")
        .pause(200_000)
        .segment(Client, "A", 101, b"hello")
        .segment(Server, "A", 201, b"HELLO");
    assert_eq!(request.roles()[3..], ["request", "retransmission", "reply"]);
    let syn = Script::default()
        .segment(Client, "S", 100, b"")
        .pause(1_000_000)
        .segment(Client, "S", 100, b"");
    assert_eq!(syn.roles(), ["syn", "retransmission"]);
}

#[test]
fn repeated_reply_does_not_change_the_rtt() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"hello")
        .segment(Server, "A", 201, b"HELLO")
        .pause(200_000)
        .segment(Server, "A", 201, b"HELLO");
    assert_eq!(script.roles()[3..], ["request", "reply", "retransmission"]);
    assert_eq!(rtts(&script.flow()), [Some(10)]);
}

#[test]
fn segment_that_fills_a_gap_early_is_out_of_order() {
    let soon = Script::connection()
        .segment(Client, "A", 101, b"hello there")
        .segment(Server, "A", 206, b" THERE")
        .segment(Server, "A", 201, b"HELLO");
    assert_eq!(soon.roles()[3..], ["request", "reply", "out-of-order"]);
    assert_eq!(rtts(&soon.flow()), [Some(20)]);
    let late = Script::connection()
        .segment(Client, "A", 101, b"hello there")
        .segment(Server, "A", 206, b" THERE")
        .pause(200_000)
        .segment(Server, "A", 201, b"HELLO");
    assert_eq!(late.roles()[3..], ["request", "reply", "retransmission"]);
}

#[test]
fn sequence_numbers_can_wrap_around() {
    let script = Script::default()
        .segment(Client, "S", u32::MAX - 2, b"")
        .segment(Server, "SA", u32::MAX, b"")
        .segment(Client, "A", u32::MAX - 1, b"hello")
        .segment(Server, "A", 0, b"HELLO")
        .segment(Client, "A", 3, b"again")
        .segment(Client, "A", u32::MAX - 1, b"hello");
    assert_eq!(script.roles()[2..], ["request", "reply", "request", "retransmission"]);
}

#[test]
fn reply_before_the_end_of_its_request_is_in_the_same_exchange() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"hello ")
        .segment(Server, "A", 201, b"HEL")
        .segment(Client, "A", 107, b"there")
        .segment(Server, "A", 204, b"LO THERE")
        .segment(Client, "A", 112, b"hello there")
        .segment(Server, "A", 212, b"HELLO THERE");
    for lengths in [None, Some(MessageLengths { request: 11, reply: 11 })] {
        let flow = script.flow_with_lengths(lengths);
        assert_eq!(rtts(&flow), [Some(30), Some(10)], "{lengths:?}");
        let exchanges: Vec<_> = flow.packets[3..].iter().map(|packet| packet.exchange).collect();
        let expected = [Some(1), Some(1), Some(1), Some(1), Some(2), Some(2)];
        assert_eq!(exchanges, expected, "{lengths:?}");
    }
}

#[test]
fn reply_of_known_length_belongs_to_the_earlier_of_two_requests() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"first")
        .segment(Client, "A", 106, b"again")
        .segment(Server, "A", 201, b"FIRST");
    let flow = script.flow_with_lengths(Some(MessageLengths { request: 5, reply: 5 }));
    assert_eq!(rtts(&flow), [Some(20), None]);
}

#[test]
fn last_fragment_completes_the_reply() {
    let fragment = PacketKind::Fragment { ip_protocol: UDP };
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
fn refusal_has_the_role_icmp_error_or_rst() {
    let (source, destination) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let icmp = PacketKind::Icmp {
        error: IcmpError { is_v6: false, kind: 3, code: 3, from: None },
        quoted: Endpoints { ip_protocol: UDP, source, destination },
    };
    let udp = Script::default().datagram(Client, b"hello").packet(Server, icmp, b"");
    assert_eq!(udp.roles(), ["request", "icmp-error"]);
    assert_eq!(rtts(&udp.flow()), [None]);
    let tcp = Script::default().segment(Client, "S", 100, b"").segment(Server, "RA", 0, b"");
    assert_eq!(tcp.roles(), ["syn", "rst"]);
    let closed_by = ClosedBy { connections: 1, client: 0, server: 1 };
    assert_eq!(totals(tcp.flow()).closed_by, Some(closed_by));
}

#[test]
fn new_connection_between_the_same_ports_is_another_flow() {
    let table = Script::connection()
        .segment(Server, "RA", 201, b"")
        .segment(Client, "S", 900, b"")
        .segment(Server, "SA", 700, b"")
        .table();
    assert_eq!(table.flows.len(), 2);
    assert_eq!(table.flows[1].packets[0].role, PacketRole::Syn);
}

proptest! {
    #[test]
    fn every_random_segment_is_in_one_flow_or_skipped(
        steps in proptest::collection::vec(
            (any::<bool>(), 0..32_u8, any::<u32>(), 0..50_usize, 0..9_000_u64),
            0..200,
        )
    ) {
        let mut script = Script::default();
        for (from_client, bits, sequence, length, pause) in steps {
            let flags = "SAFR".chars().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            let flags: String = flags.map(|(_, flag)| flag).collect();
            let sender = if from_client { Client } else { Server };
            script = script.pause(pause).segment(sender, &flags, sequence, &vec![b'x'; length]);
        }
        let table = script.table();
        let packets: usize = table.flows.iter().map(|flow| flow.packets.len()).sum();
        prop_assert_eq!(packets + table.skipped, script.packets.len());
    }
}
