//! Tests with scripted segments and their expected roles and exchanges.

use super::*;
use crate::capture::dissect::PacketKind;
use crate::capture::flow::FlowSide::{Client, Server};
use crate::capture::role::{Detail, PacketRole};
use crate::capture::script::{SERVER, Script, packet_from, rtts, totals};
use crate::capture::totals::{ClosedBy, Totals};
use crate::model::icmp::IcmpError;
use proptest::prelude::*;

impl Script {
    /// A connection after its handshake. The first byte from the client has the sequence number 101, and the
    /// first byte from the server has 201.
    fn connection() -> Self {
        Self::default()
            .segment(Client, "S", 100, b"")
            .segment(Server, "SA", 200, b"")
            .segment(Client, "A", 101, b"")
    }

    /// Adds a segment. `flags` can contain S (SYN), A (ACK), F (FIN) and R (RST).
    fn segment(self, sender: FlowSide, flags: &str, sequence: u32, payload: &[u8]) -> Self {
        let packet = packet_from(sender, "tcp", &header(flags, sequence));
        self.packet(sender, PacketKind::Protocol(packet), payload)
    }
}

/// A header without options.
fn header(flags: &str, sequence: u32) -> [u8; HEADER_LEN] {
    let bits = [('F', 0x01), ('S', 0x02), ('R', 0x04), ('A', 0x10)];
    let mut header = [0; HEADER_LEN];
    header[4..8].copy_from_slice(&sequence.to_be_bytes());
    header[12] = 0x50;
    header[13] = bits.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, bit)| bit).sum();
    header
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
    let closed_by = ClosedBy { connections: 1, client: 1, server: 0, refused: 0 };
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
    let closed_by = ClosedBy { connections: 1, client: 0, server: 1, refused: 0 };
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
    let expected = ClosedBy { connections: 4, client: 2, server: 1, refused: 0 };
    assert_eq!(Totals::of(&flows).closed_by, Some(expected));
}

#[test]
fn connection_that_was_refused_was_not_closed() {
    let refused = || Script::default().segment(Client, "S", 100, b"").segment(Server, "RA", 0, b"");
    let expected = ClosedBy { connections: 1, client: 0, server: 0, refused: 1 };
    assert_eq!(totals(refused().flow()).closed_by, Some(expected));
    // The server resets an open connection. The capture can start after the SYN.
    let reset = [
        Script::connection().segment(Server, "RA", 201, b""),
        Script::default().segment(Client, "A", 101, b"hello").segment(Server, "RA", 201, b""),
    ];
    for script in reset {
        let expected = ClosedBy { connections: 1, client: 0, server: 1, refused: 0 };
        let flow = script.flow();
        let explanation = flow.packets.last().unwrap().explanation();
        assert_eq!(explanation, "the server resets the connection");
        assert_eq!(totals(flow).closed_by, Some(expected));
    }
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
fn new_connection_between_the_same_ports_is_another_flow() {
    let table = Script::connection()
        .segment(Server, "RA", 201, b"")
        .segment(Client, "S", 900, b"")
        .segment(Server, "SA", 700, b"")
        .table();
    assert_eq!(table.flows.len(), 2);
    assert_eq!(table.flows[1].packets[0].role, PacketRole::Syn);
}

#[test]
fn sender_of_the_first_syn_ack_is_the_server() {
    let script = Script::default().segment(Server, "SA", 200, b"").segment(Client, "A", 101, b"");
    assert_eq!(script.roles(), ["syn-ack", "ack"]);
    assert_eq!(script.flow().server, SERVER.parse().unwrap());
    // Without a SYN, the ports show the server.
    let data = Script::default().segment(Server, "A", 200, b"x");
    assert_eq!(data.flow().server, SERVER.parse().unwrap());
}

#[test]
fn both_sides_can_send_a_syn_at_the_same_time() {
    let script = Script::default()
        .segment(Client, "S", 100, b"")
        .segment(Server, "S", 200, b"")
        .segment(Client, "SA", 100, b"")
        .segment(Server, "SA", 200, b"")
        .segment(Client, "A", 101, b"hello");
    assert_eq!(script.roles(), ["syn", "syn", "retransmission", "retransmission", "request"]);
}

#[test]
fn exchanges_of_distant_sequence_numbers_are_not_created() {
    for distance in [1 << 20, 1 << 30, i32::MAX.cast_unsigned(), 1 << 31] {
        let script = Script::connection()
            .segment(Client, "A", 101, b"hello")
            .segment(Client, "A", 101_u32.wrapping_add(distance), b"hello")
            .segment(Server, "A", 201_u32.wrapping_add(distance), b"HELLO")
            .segment(Server, "A", 201, b"HELLO");
        for lengths in
            [MessageLengths { request: 1, reply: 1 }, MessageLengths { request: 5, reply: 5 }]
        {
            let flow = script.flow_with_lengths(Some(lengths));
            assert!(flow.exchanges.len() <= 10, "{distance}: {}", flow.exchanges.len());
            assert_eq!(rtts(&flow)[0], Some(30), "{distance} {lengths:?}");
        }
    }
}

#[test]
fn forged_length_in_a_header_creates_no_exchanges() {
    let mut script = Script::connection().segment(Client, "A", 101, b"hello");
    // The header describes 65,495 bytes, and the packet contains 5 bytes.
    let packet = script.packets[3].as_mut().unwrap();
    packet.sizes.payload = 65_495;
    let flow = script.flow_with_lengths(Some(MessageLengths { request: 1, reply: 1 }));
    assert_eq!(flow.exchanges.len(), 5);
}

#[test]
fn keep_alive_does_not_change_the_roles_of_later_segments() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"hello")
        .segment(Server, "A", 201, b"HELLO")
        // A keep-alive repeats the byte before the next one. The server sends no byte before its first one.
        .segment(Client, "A", 105, b"o")
        .segment(Server, "A", 200, b"x")
        .segment(Client, "A", 106, b"again")
        .segment(Server, "A", 206, b"AGAIN");
    assert_eq!(
        script.roles()[3..],
        ["request", "reply", "retransmission", "retransmission", "request", "reply"]
    );
}

#[test]
fn overlapping_segment_with_other_content_does_not_change_the_exchange() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"hello")
        .segment(Server, "A", 201, b"HELLO")
        .segment(Server, "A", 199, b"forged")
        .segment(Server, "A", 203, b"xx");
    assert_eq!(script.roles()[3..], ["request", "reply", "retransmission", "retransmission"]);
    assert_eq!(rtts(&script.flow()), [Some(10)]);
}

#[test]
fn later_syn_does_not_move_the_stream() {
    let script = Script::connection()
        .segment(Client, "A", 101, b"hello")
        .segment(Server, "S", 7_000_000, b"")
        .segment(Server, "SA", 9_000_000, b"")
        .segment(Server, "A", 201, b"HELLO");
    let flow = script.flow_with_lengths(Some(MessageLengths { request: 5, reply: 5 }));
    assert_eq!(rtts(&flow), [Some(30)]);
}

#[test]
fn connection_is_failed_until_the_server_accepts_it() {
    let syn = Script::default().segment(Client, "S", 100, b"");
    assert!(syn.flow().is_failed_connection());
    assert!(syn.segment(Server, "RA", 0, b"").flow().is_failed_connection());
    assert!(!Script::connection().flow().is_failed_connection());
}

#[test]
fn icmp_error_about_a_syn_starts_no_connection() {
    let error = IcmpError { is_v6: false, kind: 3, code: 1, from: None };
    // The SYN of an earlier connection: its sequence number differs.
    let quoted = packet_from(Client, "tcp", &header("S", 7));
    let script = Script::connection().packet(Server, PacketKind::IcmpError { error, quoted }, b"");
    assert_eq!(script.roles()[3..], ["icmp-error"]);
    assert_eq!(script.flow().packets[3].sender, Server);
}

#[test]
fn refusal_has_the_role_rst() {
    let script = Script::default().segment(Client, "S", 100, b"").segment(Server, "RA", 0, b"");
    assert_eq!(script.roles(), ["syn", "rst"]);
    let explanation = script.flow().packets[1].explanation();
    assert_eq!(explanation, "the server's host refuses the connection");
    let closed_by = ClosedBy { connections: 1, client: 0, server: 0, refused: 1 };
    assert_eq!(totals(script.flow()).closed_by, Some(closed_by));
}

#[test]
fn header_is_read_with_its_options() {
    let mut bytes = header("A", 7).to_vec();
    bytes[12] = 0x80;
    let header_len = |bytes: &[u8]| Tcp.header_len(IpPayload { ip_protocol: 6, bytes });
    bytes[11] = 9;
    let expected = Header { sequence: 7, acknowledgement: 9, ack: true, ..Header::default() };
    assert_eq!(Header::parse(&bytes), Some(expected));
    // The capture contains none of the 12 bytes of options.
    assert_eq!(header_len(&bytes), Some(32));
    assert_eq!(header_len(&bytes[..14]), Some(32));
    assert_eq!(header_len(&bytes[..13]), None);
    bytes[12] = 0x40;
    assert_eq!(header_len(&bytes), None);
}

proptest! {
    #[test]
    fn every_random_segment_is_in_one_flow_or_skipped(
        steps in proptest::collection::vec(
            (any::<bool>(), 0..32_u8, any::<u32>(), 0..50_usize, 0..9_000_u64),
            0..200,
        )
    ) {
        let mut script = Script::default().segment(Client, "S", 100, b"");
        for (from_client, bits, sequence, length, pause) in steps {
            let flags = "SAFR".chars().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            let flags: String = flags.map(|(_, flag)| flag).collect();
            let sender = if from_client { Client } else { Server };
            script = script.pause(pause).segment(sender, &flags, sequence, &vec![b'x'; length]);
        }
        let measured = script.measured_table(MessageLengths { request: 1, reply: 1 });
        for table in [script.table(), measured] {
            let packets: usize = table.flows.iter().map(|flow| flow.packets.len()).sum();
            prop_assert_eq!(packets + table.skipped, script.packets.len());
            for flow in &table.flows {
                let bytes: usize = flow.packets.iter().map(|packet| packet.sizes.payload).sum();
                prop_assert!(flow.exchanges.len() <= bytes + flow.packets.len());
            }
        }
    }
}
