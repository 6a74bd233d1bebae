//! Parses and builds control messages. No test makes a system call, so all tests can run under Miri.

use super::*;
use crate::datagram_io::Payload;
use proptest::prelude::*;

/// The bytes of control messages.
fn built(messages: &[(i32, i32, &[u8])]) -> Vec<u8> {
    let mut buffer = ControlBuffer([0xAA; CONTROL_LEN]);
    let mut rest = &mut buffer.0[..];
    for (level, kind, data) in messages {
        rest = write_control(rest, *level, *kind, data);
    }
    let used = CONTROL_LEN - rest.len();
    buffer.0[..used].to_vec()
}

fn reply(datagrams: usize, hops: Option<u8>) -> Reply {
    Reply { request: 0, payload: Payload::InPlace(0..datagrams * 10), segment_size: 10, hops }
}

/// The control messages of a reply to a request with the control messages `request`.
fn reply_controls(request: &[u8], reply: &Reply) -> Vec<(i32, i32, Vec<u8>)> {
    let mut buffer = ControlBuffer([0xAA; CONTROL_LEN]);
    let used = write_controls(&mut buffer, request, reply);
    let messages = control_messages(&buffer.0[..used]);
    messages.map(|(level, kind, data)| (level, kind, data.to_vec())).collect()
}

#[test]
fn parsing_built_messages_returns_them() {
    let messages = [(1, 2, &b"abcd"[..]), (3, 4, b""), (-5, 6, b"123456789")];
    assert_eq!(control_messages(&built(&messages)).collect::<Vec<_>>(), messages);
    assert_eq!(control_messages(&[]).count(), 0);
}

#[test]
fn last_message_does_not_need_padding() {
    let bytes = built(&[(1, 2, b"abc")]);
    let end = control_len(3);
    assert!(end < bytes.len());
    assert_eq!(control_messages(&bytes[..end]).collect::<Vec<_>>(), [(1, 2, &b"abc"[..])]);
    assert_eq!(control_messages(&bytes[..end - 1]).count(), 0);
}

#[test]
fn message_with_an_invalid_length_ends_the_messages() {
    let mut bytes = built(&[(1, 2, b"abcd"), (3, 4, b"efgh")]);
    for length in [0, control_len(0) - 1, bytes.len() + 1, usize::MAX] {
        bytes[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
        assert_eq!(control_messages(&bytes).count(), 0, "length {length}");
    }
}

#[test]
fn message_that_does_not_fit_is_not_written() {
    let data = [7; CONTROL_LEN];
    assert_eq!(built(&[(1, 2, b"abcd"), (3, 4, &data)]), built(&[(1, 2, b"abcd")]));
}

#[test]
fn reply_has_the_source_address_hop_limit_and_segment_size() {
    let mut info: libc::in_pktinfo = read_plain(&[]);
    info.ipi_ifindex = 3;
    info.ipi_addr.s_addr = 0x0100_007F;
    let request = built(&[
        (libc::IPPROTO_IP, libc::IP_TTL, &7_i32.to_ne_bytes()),
        (libc::IPPROTO_IP, libc::IP_PKTINFO, plain_bytes(&info)),
    ]);
    info.ipi_ifindex = 0;
    info.ipi_spec_dst = info.ipi_addr;
    let source = (libc::IPPROTO_IP, libc::IP_PKTINFO, plain_bytes(&info).to_vec());
    assert_eq!(reply_controls(&request, &reply(1, None)), std::slice::from_ref(&source));
    let hops = (libc::IPPROTO_IP, libc::IP_TTL, 6_i32.to_ne_bytes().to_vec());
    let segments = (libc::SOL_UDP, libc::UDP_SEGMENT, 10_u16.to_ne_bytes().to_vec());
    assert_eq!(reply_controls(&request, &reply(3, Some(6))), [source, hops, segments]);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_a_panic(
        bytes in proptest::collection::vec(prop_oneof![Just(0_u8), 0..48_u8, any::<u8>()], 0..=CONTROL_LEN),
        hops in any::<Option<u8>>(),
        datagrams in 1_usize..4,
    ) {
        let length: usize = control_messages(&bytes).map(|(_, _, data)| data.len()).sum();
        prop_assert!(length <= bytes.len());
        reply_controls(&bytes, &reply(datagrams, hops));
    }
}
