//! Scripted packets, and the roles that they must have.

use super::*;
use crate::capture::dissect::{HeaderSizes, Segment};
use crate::capture::flow::{Detail, Side, WireExchange};
use crate::capture::totals::{ClosedBy, Totals};
use proptest::prelude::*;
use std::time::Duration;

const CLIENT: &str = "10.0.0.1:5555";
const SERVER: &str = "10.0.0.2:12000";

/// Packets of a connection or of datagrams, one after the other.
#[derive(Default)]
struct Script {
    packets: Vec<Packet>,
    now: Duration,
}

impl Script {
    fn after(mut self, microseconds: u64) -> Self {
        self.now += Duration::from_micros(microseconds);
        self
    }

    fn packet(mut self, to_server: bool, what: PacketKind, payload: &[u8]) -> Self {
        self.now += Duration::from_micros(10);
        let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        let (from, to) = if to_server { (client, server) } else { (server, client) };
        let transport = if matches!(what, PacketKind::Udp) { 8 } else { 20 };
        let sizes = HeaderSizes { link: 14, ip: 20, transport, payload: payload.len() };
        let payload = payload.to_vec();
        self.packets.push(Packet {
            time: self.now,
            sizes,
            from,
            to,
            what,
            payload,
            is_truncated: false,
        });
        self
    }

    fn datagram(self, to_server: bool, payload: &[u8]) -> Self {
        self.packet(to_server, PacketKind::Udp, payload)
    }

    fn segment(self, to_server: bool, flags: &str, sequence: u32, payload: &[u8]) -> Self {
        let has = |flag| flags.contains(flag);
        let segment = Segment {
            sequence,
            acknowledged: 0,
            syn: has('S'),
            ack: has('A'),
            fin: has('F'),
            rst: has('R'),
        };
        self.packet(to_server, PacketKind::Tcp(segment), payload)
    }

    /// The handshake; the client's first byte has number 101, the server's 201.
    fn connection() -> Self {
        Self::default()
            .segment(true, "S", 100, b"")
            .segment(false, "SA", 200, b"")
            .segment(true, "A", 101, b"")
    }

    fn explained(&self) -> Explained {
        explain(
            self.packets.iter().enumerate().map(|(place, packet)| (place + 1, Some(packet))),
            None,
        )
    }

    fn roles(&self) -> Vec<&'static str> {
        let explained = self.explained();
        let [flow] = &explained.flows[..] else { panic!("{explained:?}") };
        flow.packets.iter().map(|line| line.role.name()).collect()
    }
}

/// The totals of one connection.
fn closed_by(client: usize, server: usize) -> Option<ClosedBy> {
    Some(ClosedBy { connections: 1, client, server })
}

#[test]
fn a_datagram_there_and_one_back() {
    let script = Script::default().datagram(true, b"hello").after(100).datagram(false, b"HELLO");
    assert_eq!(script.roles(), ["request", "reply"]);
    let explained = script.explained();
    let flow = &explained.flows[0];
    assert_eq!((flow.client, flow.server), (CLIENT.parse().unwrap(), SERVER.parse().unwrap()));
    assert_eq!(flow.exchanges[0].rtt(), Some(Duration::from_micros(110)));
    let totals = Totals::of(&[flow]);
    assert_eq!((totals.packets, totals.wire_bytes, totals.payload_bytes), (2, 94, 10));
    assert_eq!((totals.round_trips, totals.closed_by), (Some(1), None));
}

#[test]
fn datagrams_replies_find_their_requests() {
    let script = Script::default()
        .datagram(true, b"one")
        .datagram(true, b"two")
        .datagram(false, b"TWO")
        .datagram(false, b"ONE")
        .datagram(false, b"ONE");
    let explained = script.explained();
    let of: Vec<_> = explained.flows[0].packets.iter().map(|line| line.exchange).collect();
    assert_eq!(of, [Some(1), Some(2), Some(2), Some(1), Some(1)]);
    assert_eq!(explained.flows[0].packets[4].detail, Some(Detail::DuplicateReply));
    // The first of a doubled reply counts.
    assert_eq!(explained.flows[0].exchanges[0].rtt(), Some(Duration::from_micros(30)));
}

#[test]
fn a_connection_with_two_exchanges() {
    let script = Script::connection()
        .segment(true, "A", 101, b"hello")
        .segment(false, "A", 201, b"")
        .segment(false, "A", 201, b"HEL")
        .segment(false, "A", 204, b"LO")
        .segment(true, "A", 106, b"again")
        .segment(false, "A", 206, b"AGAIN")
        .segment(true, "FA", 111, b"")
        .segment(false, "FA", 211, b"")
        .segment(true, "A", 112, b"");
    assert_eq!(
        script.roles(),
        [
            "syn", "syn-ack", "ack", "request", "ack", "reply", "reply", "request", "reply", "fin",
            "fin", "ack"
        ]
    );
    let explained = script.explained();
    let flow = &explained.flows[0];
    let exchanges: Vec<_> = flow.exchanges.iter().map(WireExchange::rtt).collect();
    assert_eq!(exchanges, [Some(Duration::from_micros(30)), Some(Duration::from_micros(10))]);
    let totals = Totals::of(&[flow]);
    assert_eq!((totals.round_trips, totals.closed_by), (Some(2), closed_by(1, 0)));
}

#[test]
fn a_server_that_closes_with_its_answer() {
    let script =
        Script::connection().segment(true, "A", 101, b"hello").segment(false, "FA", 201, b"HELLO");
    assert_eq!(script.roles()[3..], ["request", "reply"]);
    let explained = script.explained();
    assert_eq!(explained.flows[0].packets[4].detail, Some(Detail::WithFin));
    assert_eq!(Totals::of(&[&explained.flows[0]]).closed_by, closed_by(0, 1));
}

#[test]
fn what_is_sent_again_and_what_comes_late() {
    let again = Script::connection()
        .segment(true, "A", 101, b"hello")
        .after(200_000)
        .segment(true, "A", 101, b"hello")
        .segment(false, "A", 201, b"HELLO");
    assert_eq!(again.roles()[3..], ["request", "retransmission", "reply"]);
    let late = Script::connection()
        .segment(true, "A", 101, b"hello there")
        .segment(false, "A", 206, b" THERE")
        .segment(false, "A", 201, b"HELLO");
    assert_eq!(late.roles()[3..], ["request", "reply", "out-of-order"]);
    let explained = late.explained();
    assert_eq!(explained.flows[0].exchanges[0].rtt(), Some(Duration::from_micros(20)));
    // What was lost before it came by here is a retransmission when it comes.
    let lost = Script::connection()
        .segment(true, "A", 101, b"hello there")
        .segment(false, "A", 206, b" THERE")
        .after(200_000)
        .segment(false, "A", 201, b"HELLO");
    assert_eq!(lost.roles()[3..], ["request", "reply", "retransmission"]);
    let requests = Script::default()
        .segment(true, "S", 100, b"")
        .after(1_000_000)
        .segment(true, "S", 100, b"");
    assert_eq!(requests.roles(), ["syn", "retransmission"]);
}

#[test]
fn what_was_there_before_does_not_answer_again() {
    let script = Script::connection()
        .segment(true, "A", 101, b"hello")
        .segment(false, "A", 201, b"HELLO")
        .after(200_000)
        .segment(false, "A", 201, b"HELLO");
    assert_eq!(script.roles()[3..], ["request", "reply", "retransmission"]);
    let explained = script.explained();
    assert_eq!(explained.flows[0].exchanges[0].rtt(), Some(Duration::from_micros(10)));
}

#[test]
fn a_reply_that_comes_while_its_request_goes_is_one_exchange() {
    let script = Script::connection()
        .segment(true, "A", 101, b"hello ")
        .segment(false, "A", 201, b"HEL")
        .segment(true, "A", 107, b"there")
        .segment(false, "A", 204, b"LO THERE")
        .segment(true, "A", 112, b"hello there")
        .segment(false, "A", 212, b"HELLO THERE");
    for lengths in [None, Some((11, 11))] {
        let numbered = script.packets.iter().enumerate();
        let explained = explain(numbered.map(|(place, packet)| (place, Some(packet))), lengths);
        let flow = &explained.flows[0];
        let rtts: Vec<_> = flow.exchanges.iter().map(WireExchange::rtt).collect();
        let microseconds = |number| Some(Duration::from_micros(number));
        assert_eq!(rtts, [microseconds(30), microseconds(10)], "{lengths:?}");
        let of: Vec<_> = flow.packets[3..].iter().map(|line| line.exchange).collect();
        assert_eq!(of, [Some(1), Some(1), Some(1), Some(1), Some(2), Some(2)], "{lengths:?}");
    }
}

#[test]
fn a_request_that_is_never_answered_does_not_take_the_next_ones_reply() {
    let script = Script::connection()
        .segment(true, "A", 101, b"first")
        .segment(true, "A", 106, b"again")
        .segment(false, "A", 201, b"FIRST");
    let numbered = script.packets.iter().enumerate();
    let explained = explain(numbered.map(|(place, packet)| (place, Some(packet))), Some((5, 5)));
    let rtts: Vec<_> = explained.flows[0].exchanges.iter().map(WireExchange::rtt).collect();
    assert_eq!(rtts, [Some(Duration::from_micros(20)), None]);
}

#[test]
fn another_services_answers_are_of_the_oldest_that_waits() {
    let script = Script::default()
        .datagram(true, b"A? example.net")
        .datagram(true, b"AAAA? example.net")
        .datagram(false, b"192.0.2.1")
        .datagram(false, b"2001:db8::1");
    let explained = script.explained();
    let told: Vec<_> =
        explained.flows[0].packets[2..].iter().map(|line| (line.exchange, line.detail)).collect();
    assert_eq!(told, [(Some(1), None), (Some(2), None)]);
}

#[test]
fn a_later_fragment_goes_where_its_first_went_and_ends_the_reply() {
    let script = Script::default().datagram(true, b"hello").datagram(false, b"HELLO").packet(
        false,
        PacketKind::Fragment { protocol: 17 },
        b" THERE",
    );
    let explained = script.explained();
    let flow = &explained.flows[0];
    let last = flow.packets.last().unwrap();
    assert_eq!((last.role, last.sender, last.exchange), (Role::Fragment, Side::Server, Some(1)));
    assert_eq!(flow.exchanges[0].rtt(), Some(Duration::from_micros(20)));
}

#[test]
fn numbers_that_wrap_around_are_no_retransmission() {
    let script = Script::default()
        .segment(true, "S", u32::MAX - 2, b"")
        .segment(false, "SA", u32::MAX, b"")
        .segment(true, "A", u32::MAX - 1, b"hello")
        .segment(false, "A", 0, b"HELLO")
        .segment(true, "A", 3, b"again")
        .segment(true, "A", u32::MAX - 1, b"hello");
    assert_eq!(script.roles()[2..], ["request", "reply", "request", "retransmission"]);
}

#[test]
fn a_refusal_and_a_reset() {
    let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let icmp = crate::model::icmp::IcmpError { is_v6: false, kind: 3, code: 3, from: None };
    let error = PacketKind::Icmp { icmp, protocol: 17, from: client, to: server };
    let refused = Script::default().datagram(true, b"hello").packet(false, error, b"");
    assert_eq!(refused.roles(), ["request", "icmp-error"]);
    assert_eq!(refused.explained().flows[0].exchanges[0].rtt(), None);
    let reset = Script::default().segment(true, "S", 100, b"").segment(false, "RA", 0, b"");
    assert_eq!(reset.roles(), ["syn", "rst"]);
    assert_eq!(Totals::of(&[&reset.explained().flows[0]]).closed_by, closed_by(0, 1));
}

#[test]
fn ports_that_are_used_again_are_another_flow() {
    let script = Script::connection()
        .segment(false, "RA", 201, b"")
        .segment(true, "S", 900, b"")
        .segment(false, "SA", 700, b"");
    let explained = script.explained();
    assert_eq!(explained.flows.len(), 2);
    assert_eq!(explained.flows[1].packets[0].role, Role::Syn);
}

proptest! {
    #[test]
    fn any_segments_have_roles_and_each_packet_its_line(
        steps in proptest::collection::vec((any::<bool>(), 0..32_u8, any::<u32>(), 0..50_usize, 0..9_000_u64), 0..200)
    ) {
        let mut script = Script::default();
        for (to_server, bits, sequence, length, pause) in steps {
            let flags: String =
                "SAFR".chars().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, flag)| flag).collect();
            script = script.after(pause).segment(to_server, &flags, sequence, &vec![b'x'; length]);
        }
        let explained = script.explained();
        let lines: usize = explained.flows.iter().map(|flow| flow.packets.len()).sum();
        prop_assert_eq!(lines + explained.others, script.packets.len());
    }
}
