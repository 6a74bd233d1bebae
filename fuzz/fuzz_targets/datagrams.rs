//! Delivers random datagrams to the UDP server, with random control messages. A simulated kernel replaces the socket. The
//! server must answer text in upper case, must send each reply to the source of its request, and must count each
//! datagram exactly once. A reply must not be longer than the limit.
//!
//! Run it with `cargo +nightly fuzz run datagrams`.
#![no_main]

use arbitrary::Arbitrary;
use echo_core::header::version2::{self, Requested};
use echo_core::header::{self, Request};
use echo_core::{MAX_GROWTH, uppercase_slice};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, SocketAddr};
use udp_echo::Config;
use udp_echo::fuzzing::{Datagram, SimulatedServer};

/// Maximum number of buffers that arrive together, and of bytes of their control messages. The server has the same
/// limits.
const MAX_BUFFERS: usize = 32;
const MAX_CONTROLS: usize = 160;

#[derive(Arbitrary, Debug)]
struct Arrival {
    ip: Ip,
    port: u16,
    payload: Payload,
    controls: Controls,
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Text(Vec<u8>),
    /// A request with a correct header of version 1.
    Version1(Vec<u8>),
    /// A request with a correct header of version 2.
    Version2 {
        requested: bool,
        run: u8,
        number: u16,
        text: Vec<u8>,
    },
}

impl Payload {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text,
            Self::Version1(text) => {
                [&header::request_header(header::HEADER_LEN + text.len())[..], &text].concat()
            }
            Self::Version2 { requested, run, number, text } => {
                let requested =
                    if requested { Requested::Counts } else { Requested::CountsAndTimestamps };
                let length = version2::MIN_LEN + text.len();
                let header = version2::request_header(length, requested, run.into());
                let mut digits = [0; version2::MIN_LEN - version2::HEADER_LEN];
                header::write_digits(&mut digits, number.into());
                [&header[..], &digits, &text].concat()
            }
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Ip {
    /// One of a few hosts, so that several datagrams have the same source.
    Host(u8),
    Any(IpAddr),
}

#[derive(Arbitrary, Debug)]
enum Controls {
    /// Random bytes.
    Bytes(Vec<u8>),
    /// Correct control messages: level, type and data.
    Messages(Vec<(Kind, [u8; 4])>),
}

#[derive(Arbitrary, Debug)]
enum Kind {
    HopLimit,
    HopLimitV6,
    SegmentSize,
    QueueDrops,
    Any(i32, i32),
}

impl Kind {
    fn numbers(&self) -> (i32, i32) {
        match *self {
            Self::HopLimit => (libc::IPPROTO_IP, libc::IP_TTL),
            Self::HopLimitV6 => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
            Self::SegmentSize => (libc::SOL_UDP, libc::UDP_GRO),
            Self::QueueDrops => (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
            Self::Any(level, kind) => (level, kind),
        }
    }
}

impl Controls {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = match self {
            Self::Bytes(bytes) => bytes,
            Self::Messages(messages) => {
                let mut bytes = Vec::new();
                for (kind, data) in messages {
                    let (level, kind) = kind.numbers();
                    // The header of 16 bytes, and the data with its padding.
                    bytes.extend(20_usize.to_ne_bytes());
                    bytes.extend(level.to_ne_bytes());
                    bytes.extend(kind.to_ne_bytes());
                    bytes.extend(data);
                    bytes.extend([0; 4]);
                }
                bytes
            }
        };
        bytes.truncate(MAX_CONTROLS);
        bytes
    }
}

fuzz_target!(|input: (Option<u8>, Vec<Vec<Arrival>>)| {
    let (rate, rounds) = input;
    let config = Config { rate: rate.map(u32::from), ..Config::default() };
    let mut server = SimulatedServer::new(config);
    for mut round in rounds {
        round.truncate(MAX_BUFFERS);
        let datagrams: Vec<Datagram> = round
            .into_iter()
            .map(|Arrival { ip, port, payload, controls }| {
                let ip = match ip {
                    Ip::Host(host) => [192, 0, 2, host].into(),
                    Ip::Any(ip) => ip,
                };
                Datagram {
                    peer: SocketAddr::new(ip, port),
                    payload: payload.bytes(),
                    controls: controls.bytes(),
                }
            })
            .collect();
        let replies = server.answer(&datagrams);
        for reply in &replies {
            assert!(datagrams.iter().any(|request| request.peer == reply.peer), "{reply:?}");
        }
        let requested: usize = datagrams.iter().map(|request| request.payload.len()).sum();
        let replied: usize = replies.iter().map(|reply| reply.payload.len()).sum();
        assert!(replied <= MAX_GROWTH * requested);
        if let [request] = &datagrams[..]
            && let [reply] = &replies[..]
            && request.controls.is_empty()
            && Request::of_datagram(&request.payload).is_none()
        {
            assert_eq!(reply.payload, &uppercase_slice(&mut request.payload.clone())[..]);
        }
    }
    let totals = server.totals();
    let refused = totals.refused_network
        + totals.refused_source_port
        + totals.refused_non_unicast
        + totals.refused_server_loop
        + totals.refused_rate_limit
        + totals.reply_too_long;
    assert_eq!(totals.received, totals.answered + refused, "{totals:?}");
});
