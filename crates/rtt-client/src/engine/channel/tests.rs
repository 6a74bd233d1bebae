//! Tests: the division of received bytes into replies.

use super::*;
use crate::engine::test_transport::Incoming::{Bytes as Piece, End, ReplyTo, Stray};
use crate::engine::test_transport::{Incoming, scripted};
use crate::model::icmp::IcmpError;
use crate::model::protocol::ReplyForm;
use crate::plan::payload::{EchoPayload, HeaderContent};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Requests that contain only their number: ten bytes.
fn payload() -> Payload {
    EchoPayload::of_size(10, HeaderContent::Nothing, ReplyForm::UpperCase).into()
}

/// A channel with `requests` requests in flight. Its transport returns the `incoming` messages.
fn channel<const N: usize>(framing: Framing, requests: u64, incoming: [Incoming; N]) -> Channel {
    let mut channel = Channel::new(scripted(incoming).transport.unwrap(), framing);
    for seq in 1..=requests {
        channel.send(seq, payload().request(seq), &AtomicBool::new(false)).unwrap();
    }
    channel
}

fn receive(channel: &mut Channel) -> ChannelEvent {
    let until = WaitUntil::Exact(Instant::now());
    channel.receive(until, &mut payload(), None).unwrap()
}

fn reply_seq(event: &ChannelEvent) -> Option<u64> {
    match event {
        ChannelEvent::Reply(reply) => reply.seq,
        _ => None,
    }
}

fn mismatch(event: &ChannelEvent) -> Option<(Option<u64>, Mismatch)> {
    match event {
        ChannelEvent::Wrong { reply, mismatch } => Some((reply.seq, *mismatch)),
        _ => None,
    }
}

#[test]
fn one_piece_of_a_stream_can_contain_several_replies() {
    let pieces = [Piece(b"000000000100000000020000"), Piece(b"000003")];
    let mut channel = channel(Framing::Stream, 3, pieces);
    assert_eq!(reply_seq(&receive(&mut channel)), Some(1));
    assert_eq!(reply_seq(&receive(&mut channel)), Some(2));
    assert_eq!(channel.partial_reply_len(), 4);
    assert_eq!(reply_seq(&receive(&mut channel)), Some(3));
    assert_eq!((channel.replies(), channel.partial_reply_len()), (3, 0));
    assert_eq!(channel.unanswered(), 0);
}

#[test]
fn incomplete_reply_of_a_stream_is_not_reported() {
    let mut channel = channel(Framing::Stream, 1, [Piece(b"00000"), Piece(b"0000"), Piece(b"1")]);
    for _ in 0..2 {
        assert!(matches!(receive(&mut channel), ChannelEvent::Nothing));
    }
    assert_eq!(reply_seq(&receive(&mut channel)), Some(1));
}

#[test]
fn extra_bytes_after_the_last_reply_are_wrong() {
    let mut channel = channel(Framing::Stream, 1, [Piece(b"0000000001!")]);
    let too_long = Mismatch::TooLong { extra: 1, expected: 10 };
    assert_eq!(mismatch(&receive(&mut channel)), Some((Some(1), too_long)));
}

#[test]
fn bytes_without_a_request_in_flight_are_wrong() {
    let mut channel = channel(Framing::Stream, 0, [Piece(b"220 welcome")]);
    assert_eq!(mismatch(&receive(&mut channel)), Some((None, Mismatch::NoRequestInFlight)));
}

#[test]
fn wrong_reply_of_a_stream_belongs_to_the_oldest_request() {
    let mut channel = channel(Framing::Stream, 2, [Piece(b"0000000002")]);
    let differs = Mismatch::DiffersAtByte(10);
    assert_eq!(mismatch(&receive(&mut channel)), Some((Some(1), differs)));
    assert_eq!(channel.unanswered(), 1);
}

#[test]
fn end_of_the_connection_is_an_event() {
    let mut channel = channel(Framing::Stream, 1, [End]);
    assert!(matches!(receive(&mut channel), ChannelEvent::End));
}

#[test]
fn datagrams_are_matched_by_their_number() {
    let datagrams = [Piece(b"0000000002"), Piece(b"0000000001")];
    let mut channel = channel(Framing::Datagrams, 2, datagrams);
    assert_eq!(reply_seq(&receive(&mut channel)), Some(2));
    assert_eq!(reply_seq(&receive(&mut channel)), Some(1));
}

#[test]
fn stray_packet_is_not_a_message() {
    let mut channel = channel(Framing::Datagrams, 1, [Stray, Piece(b"0000000001")]);
    assert!(matches!(receive(&mut channel), ChannelEvent::Stray));
    assert_eq!(channel.replies(), 0);
    assert_eq!(reply_seq(&receive(&mut channel)), Some(1));
}

#[test]
fn short_datagram_is_wrong_immediately() {
    let mut channel = channel(Framing::Datagrams, 1, [Piece(b"00000")]);
    let too_short = Mismatch::TooShort { received: 5, expected: 10 };
    assert_eq!(mismatch(&receive(&mut channel)), Some((None, too_short)));
}

#[test]
fn datagram_without_a_number_belongs_to_the_only_request_in_flight() {
    let mut channel = channel(Framing::Datagrams, 1, [Piece(b"GARBAGE!!!")]);
    let until = WaitUntil::Exact(Instant::now());
    let event = channel.receive(until, &mut payload(), Some(1)).unwrap();
    assert_eq!(mismatch(&event), Some((Some(1), Mismatch::DiffersAtByte(1))));
}

#[test]
fn number_in_the_header_identifies_the_request_of_a_reply_without_a_number() {
    let mut channel =
        channel(Framing::Datagrams, 3, [ReplyTo(2, b"GARBAGE!!!"), ReplyTo(3, b"0000000003")]);
    assert_eq!(mismatch(&receive(&mut channel)), Some((Some(2), Mismatch::DiffersAtByte(1))));
    assert_eq!(reply_seq(&receive(&mut channel)), Some(3));
}

#[test]
fn reply_with_different_numbers_in_its_header_and_its_content_is_stray() {
    let mut channel =
        channel(Framing::Datagrams, 2, [ReplyTo(1, b"0000000002"), ReplyTo(2, b"0000000002")]);
    assert!(matches!(receive(&mut channel), ChannelEvent::Stray));
    assert_eq!(reply_seq(&receive(&mut channel)), Some(2));
}

#[test]
fn icmp_error_belongs_to_the_request_in_its_quoted_header_and_content() {
    let mut payload: Payload =
        EchoPayload::of_size(23, HeaderContent::Nothing, ReplyForm::UpperCase).into();
    let request_2 = payload.request(2).to_vec();
    let mut request_of = |request, quoted_payload: &[u8]| {
        let icmp = IcmpError { is_v6: false, kind: 3, code: 1, from: None };
        let quoted_payload = quoted_payload.to_vec();
        let error = NetworkError { icmp, errno: 113, request, mtu: None, quoted_payload };
        Channel::request_of(&error, &mut payload)
    };
    let with_token = request_2.as_slice();
    let (verified, unverified) = (Verification::Verified, Verification::Unverified);
    assert_eq!(request_of(Some(2), b""), QuotedRequest::Number(2, unverified));
    assert_eq!(request_of(Some(2), with_token), QuotedRequest::Number(2, verified));
    assert_eq!(request_of(None, with_token), QuotedRequest::Number(2, verified));
    assert_eq!(request_of(None, b"0000000002"), QuotedRequest::Number(2, unverified));
    assert_eq!(request_of(None, b"00000"), QuotedRequest::Unknown(unverified));
    assert_eq!(request_of(Some(2), b"0000000001"), QuotedRequest::Contradictory);
    assert_eq!(request_of(None, b"000000000x"), QuotedRequest::Contradictory);
}

#[test]
fn only_the_beginning_of_a_long_wrong_reply_is_kept() {
    const MAX_LEN: usize = 1024;
    static LONG: [u8; 2 * MAX_LEN] = [b'A'; 2 * MAX_LEN];
    for framing in [Framing::Stream, Framing::Datagrams] {
        let mut channel = channel(framing, 1, [Piece(&LONG)]);
        let ChannelEvent::Wrong { reply, .. } = receive(&mut channel) else { panic!("not wrong") };
        assert_eq!(reply.bytes.len(), MAX_LEN);
        // The memory of the other bytes is free.
        let memory = reply.bytes.try_into_mut().unwrap();
        assert_eq!(memory.capacity(), MAX_LEN);
    }
}
