//! Tests of the buffers. Most tests use a simulated kernel, so Miri can check them against the aliasing rules.

use super::control::{CONTROL_LEN, ControlBuffer, write_controls};
use super::simulation::Datagram;
use super::*;
use crate::datagram_io::Payload;
use std::net::{Ipv4Addr, SocketAddrV4};

const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 4711));

fn datagram(payload: &[u8], controls: &[u8]) -> Datagram {
    Datagram { peer: PEER, payload: payload.to_vec(), controls: controls.to_vec() }
}

fn in_place(request: usize, length: usize) -> Reply {
    Reply { request, payload: Payload::InPlace(0..length), segment_size: length.max(1), hops: None }
}

/// Control messages with the hop limit `hops`.
fn hop_limit(hops: u8) -> Vec<u8> {
    let reply = Reply { hops: Some(hops), ..in_place(0, 1) };
    let mut buffer = ControlBuffer([0; CONTROL_LEN]);
    let length = write_controls(&mut buffer, &[], &reply);
    buffer.0[..length].to_vec()
}

#[test]
fn replies_are_in_the_memory_that_the_kernel_wrote() {
    let mut io = DatagramIo::new();
    // The memory is used several times, and it does not move with its owner.
    for round in 1..4_u8 {
        let arrived = [datagram(b"first", &hop_limit(round)), datagram(b"second", &[])];
        io.simulate_arrival(&arrived);
        assert_eq!(io.meta(0).unwrap().peer, PEER);
        assert_eq!(io.meta(0).unwrap().hops, Some(round));
        assert_eq!((io.meta(1).unwrap().hops, io.meta(1).unwrap().length), (None, 6));
        io.payload(0).make_ascii_uppercase();
        io.payload(1).make_ascii_uppercase();
        assert_eq!(io.payload(0), b"FIRST");
        let owned = Reply { payload: Payload::Owned(b"LONGER REPLY".to_vec()), ..in_place(0, 12) };
        let replies = [in_place(1, 6), owned, Reply { hops: Some(9), ..in_place(0, 3) }];
        let sent = io.simulate_departure(&replies);
        let expected = [
            datagram(b"SECOND", &[]),
            datagram(b"LONGER REPLY", &[]),
            datagram(b"FIR", &hop_limit(9)),
        ];
        assert_eq!(sent, expected);
        io = std::hint::black_box(io);
    }
}

#[test]
fn datagram_of_the_maximum_length_fills_its_buffer_only() {
    let mut io = DatagramIo::new();
    let longest = vec![b'x'; crate::datagram_io::RECEIVE_BUFFER_LEN];
    let arrived = [datagram(b"before", &[]), datagram(&longest, &[]), datagram(b"after", &[])];
    io.simulate_arrival(&arrived);
    assert_eq!(io.payload(1), longest);
    io.payload(1).fill(b'y');
    assert_eq!(
        (io.payload(0).to_vec(), io.payload(2).to_vec()),
        (b"before".to_vec(), b"after".to_vec())
    );
}

#[test]
#[should_panic(expected = "buffer 1 of 1 received buffers")]
fn buffer_that_was_not_received_is_not_accessible() {
    let mut io = DatagramIo::new();
    io.simulate_arrival(&[datagram(b"one", &[])]);
    io.payload(1);
}

#[test]
#[cfg_attr(miri, ignore = "Miri does not support recvmmsg")]
fn datagrams_of_real_sockets_are_received_and_answered() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    DatagramIo::prepare(&socket, socket.local_addr().unwrap());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(socket.local_addr().unwrap()).unwrap();
    let mut io = DatagramIo::new();
    for text in ["", "hello", "a longer text"] {
        client.send(text.as_bytes()).unwrap();
        assert_eq!(io.receive(&socket, Wait::UntilTimeout).unwrap(), 1);
        assert_eq!(io.meta(0).unwrap().peer, client.local_addr().unwrap());
        io.payload(0).make_ascii_uppercase();
        let mut accepted = 0;
        io.send(&socket, &[in_place(0, text.len())], &mut |result| {
            if let SendResult::Accepted { datagrams } = result {
                accepted += datagrams;
            }
        });
        assert_eq!(accepted, 1);
        let mut reply = [0; 64];
        let length = client.recv(&mut reply).unwrap();
        assert_eq!(reply[..length], *text.to_uppercase().as_bytes());
    }
}
