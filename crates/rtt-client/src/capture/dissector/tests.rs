//! Tests with a protocol that is not in the registry. It has an identifier instead of ports.

use super::*;
use crate::capture::datagram_flow::DatagramFlow;
use crate::capture::dissect::{Packet, PacketKind, dissect_with};
use crate::capture::file::{CapturedPacket, LinkType};
use crate::capture::flow::Flow;
use crate::capture::flows::{FlowTable, MeasuredFlows};
use crate::capture::totals::{ClosedBy, Totals};
use crate::model::protocol::{EXAMPLE, IpNumbers, Phase, ReplyForm, Responder};

static FACTS: Protocol = Protocol {
    name: "fake",
    title: "Fake",
    default_port: None,
    responder: Responder::Kernel,
    reply_form: ReplyForm::Unchanged,
    phases: &[Phase { name: "greeting", end: "greeting received" }],
    // Numbers for experiments (RFC 3692).
    ip_numbers: Some(IpNumbers { v4: 253, v6: 254 }),
    ..EXAMPLE
};

/// The first byte of a packet.
const REQUEST: u8 = 8;
const REPLY: u8 = 0;

const HEADER_LEN: usize = 8;

/// A dissector of packets with a type (1 byte), 3 unused bytes, an identifier (2 bytes), an unused byte and the number
/// of the exchange. The number can be 0.
struct Fake;

impl Dissector for Fake {
    fn protocol(&self) -> &'static Protocol {
        &FACTS
    }

    fn ports(&self, packet: IpPayload<'_>) -> Option<Ports> {
        let identifier = u16_at(packet.bytes, 4)?;
        match (packet.ip_protocol, packet.bytes[0]) {
            (253, REQUEST) => Some(Ports { source: identifier, destination: 0 }),
            (253, REPLY) => Some(Ports { source: 0, destination: identifier }),
            _ => None,
        }
    }

    fn header_len(&self, packet: IpPayload<'_>) -> Option<usize> {
        (packet.bytes.len() >= HEADER_LEN).then_some(HEADER_LEN)
    }

    fn sender_of(&self, header: &[u8]) -> Option<FlowSide> {
        match *header.first()? {
            REQUEST => Some(FlowSide::Client),
            REPLY => Some(FlowSide::Server),
            _ => None,
        }
    }

    fn new_flow(&self, _: Option<MessageLengths>) -> Box<dyn FlowState> {
        Box::new(FakeFlow { pairing: DatagramFlow::new(FACTS.reply_forms()), has_reply: false })
    }
}

/// The first reply accepts the connection and closes it.
#[derive(Debug)]
struct FakeFlow {
    pairing: DatagramFlow,
    has_reply: bool,
}

impl FlowState for FakeFlow {
    fn add(&mut self, packet: &ObservedPacket<'_>, exchanges: &mut Exchanges) -> Classification {
        assert_eq!(packet.header.len(), HEADER_LEN);
        self.has_reply |= packet.sender == FlowSide::Server;
        self.pairing.add(packet, exchanges)
    }

    fn exchange_of_quote(&self, header: &[u8], exchanges: &Exchanges) -> Option<u64> {
        match header.get(7) {
            None | Some(0) => exchanges.latest(),
            Some(number) => Some(u64::from(*number)),
        }
    }

    fn is_start_of_next_connection(&self, header: &[u8], _: FlowSide) -> bool {
        self.has_reply && header[0] == REQUEST
    }

    fn closed_by(&self) -> Option<FlowSide> {
        self.has_reply.then_some(FlowSide::Server)
    }

    fn was_accepted(&self) -> bool {
        self.has_reply
    }
}

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];

fn ip_packet(ip_protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(20 + payload.len()).unwrap();
    let start = [0x45, 0, 0, length, 0, 0, 0, 0, 64, ip_protocol, 0, 0];
    [&start, &source[..], &destination, payload].concat()
}

/// A packet of the fake protocol with the identifier 7.
fn fake(kind: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = if kind == REPLY { (SERVER, CLIENT) } else { (CLIENT, SERVER) };
    fake_between(kind, source, destination, payload)
}

fn fake_between(kind: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let header = [kind, 0, 0, 0, 0, 7, 0, 0];
    ip_packet(253, source, destination, &[&header, payload].concat())
}

/// An ICMP error about the beginning of a packet.
fn icmp_error_about(quoted: &[u8]) -> Vec<u8> {
    ip_packet(1, [10, 0, 0, 254], CLIENT, &[&[3, 1, 0, 0, 0, 0, 0, 0], quoted].concat())
}

fn dissect(bytes: Vec<u8>) -> Option<Packet> {
    static DISSECTORS: &[Option<&dyn Dissector>] = &[None, Some(&Fake)];
    let (time, original_length) = (Duration::ZERO, bytes.len());
    let link_type = LinkType::Raw;
    let packet = CapturedPacket { time, original_length, bytes, link_type, interface: 0 };
    dissect_with(DISSECTORS, &packet)
}

fn table(packets: impl IntoIterator<Item = Vec<u8>>) -> FlowTable {
    let packets: Vec<_> = packets.into_iter().map(dissect).collect();
    FlowTable::of_file(packets)
}

fn roles(flow: &Flow) -> Vec<(&'static str, Option<u64>)> {
    flow.packets.iter().map(|packet| (packet.role.name(), packet.exchange)).collect()
}

#[test]
fn request_and_reply_of_any_protocol_are_one_flow() {
    let table = table([fake(REQUEST, b"hello"), fake(REPLY, b"hello"), fake(REPLY, b"hello")]);
    let [flow] = &table.flows[..] else { panic!("{table:?}") };
    assert_eq!(flow.protocol(), &FACTS);
    assert_eq!([flow.client, flow.server], [(CLIENT, 7).into(), (SERVER, 0).into()]);
    assert_eq!(roles(flow), [("request", Some(1)), ("reply", Some(1)), ("reply", Some(1))]);
    assert_eq!(flow.packets[2].detail, Some(Detail::DuplicateReply));
    let sizes = flow.packets[0].sizes;
    assert_eq!((sizes.ip, sizes.transport, sizes.payload), (20, HEADER_LEN, 5));
    let closed_by = ClosedBy { connections: 1, client: 0, server: 1, refused: 0 };
    assert_eq!(Totals::of(&table.flows).closed_by, Some(closed_by));
}

#[test]
fn flow_can_begin_with_a_reply() {
    let table = table([fake(REPLY, b"hello")]);
    assert_eq!(table.flows[0].client, (CLIENT, 7).into());
    assert_eq!(roles(&table.flows[0]), [("reply", None)]);
}

#[test]
fn packets_of_both_sides_differ_even_if_the_endpoints_are_equal() {
    let packet = |kind| {
        let mut packet = fake_between(kind, CLIENT, CLIENT, b"x");
        // The identifier 0 is equal to the port of the server.
        packet[25] = 0;
        packet
    };
    let table = table([packet(REQUEST), packet(REPLY)]);
    assert_eq!(roles(&table.flows[0]), [("request", Some(1)), ("reply", Some(1))]);
}

#[test]
fn flow_state_determines_where_the_next_connection_begins() {
    let table = table([fake(REQUEST, b"a"), fake(REPLY, b"a"), fake(REQUEST, b"b")]);
    assert_eq!(table.flows.len(), 2);
}

#[test]
fn packets_that_the_dissector_rejects_are_skipped() {
    let other_type = fake(9, b"");
    let other_number = ip_packet(254, CLIENT, SERVER, &[REQUEST, 0, 0, 0, 0, 7, 0, 0]);
    let short = ip_packet(253, CLIENT, SERVER, &[REQUEST, 0, 0, 0, 0, 7, 0]);
    assert_eq!(table([other_type, other_number, short]).skipped, 3);
}

#[test]
fn icmp_error_belongs_to_the_flow_of_the_quoted_packet() {
    let table = table([fake(REQUEST, b"hello"), icmp_error_about(&fake(REQUEST, b"")[..28])]);
    let [flow] = &table.flows[..] else { panic!("{table:?}") };
    assert_eq!(roles(flow), [("request", Some(1)), ("icmp-error", Some(1))]);
    assert_eq!(flow.packets[1].sender, FlowSide::Server);
}

#[test]
fn icmp_error_belongs_to_the_exchange_that_its_quote_identifies() {
    let requests = [fake(REQUEST, b"a"), fake(REQUEST, b"b")];
    let mut quoted = fake(REQUEST, b"a");
    let about_latest = icmp_error_about(&quoted[..28]);
    quoted[27] = 1;
    let about_first = icmp_error_about(&quoted[..28]);
    // The bytes after the identifier are missing.
    let without_number = icmp_error_about(&quoted[..26]);
    let table = table(requests.into_iter().chain([about_latest, about_first, without_number]));
    let exchanges: Vec<_> = table.flows[0].packets.iter().map(|packet| packet.exchange).collect();
    assert_eq!(exchanges, [Some(1), Some(2), Some(2), Some(1), Some(2)]);
}

#[test]
fn icmp_error_about_a_quoted_reply_belongs_to_the_client_of_the_reply() {
    let reply = fake_between(REPLY, CLIENT, SERVER, b"");
    let table = table([icmp_error_about(&reply)]);
    assert_eq!(table.flows[0].client, (SERVER, 7).into());
}

#[test]
fn icmp_error_with_a_truncated_quoted_packet_is_skipped() {
    let quoted = fake(REQUEST, b"hello");
    // The identifier ends after the bytes of the IP header (20) and 6 bytes.
    for length in 0..26 {
        assert_eq!(dissect(icmp_error_about(&quoted[..length])), None, "{length}");
    }
    let packet = dissect(icmp_error_about(&quoted[..26])).unwrap();
    assert!(matches!(packet.kind, PacketKind::IcmpError { .. }), "{packet:?}");
}

#[test]
fn flows_of_a_measurement_are_compared_without_the_missing_port() {
    for (identifier, flows) in [(7, 1), (8, 0)] {
        let packets = [fake(REQUEST, b"x"), fake(REPLY, b"x")].map(dissect);
        let measured = MeasuredFlows {
            protocol: &FACTS,
            server: (SERVER, 9).into(),
            clients: &[(CLIENT, identifier).into()],
            lengths: Some(MessageLengths { request: 1, reply: 1 }),
        };
        assert_eq!(FlowTable::of_measurement(packets, 1, measured).flows.len(), flows);
    }
}
