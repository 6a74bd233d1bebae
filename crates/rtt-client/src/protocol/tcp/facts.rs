//! Facts about TCP.

use super::services::{SERVICES, SIGNATURES};
use crate::model::protocol::{Framing, IpNumbers, Phase, Protocol, ReplyForm, Responder};

/// The length of a header without options, in bytes (RFC 9293).
pub(super) const HEADER_LEN: usize = 20;

const DEFAULT_PORT: u16 = 12000;

/// The registry's entry for TCP.
pub(crate) const FACTS: Protocol = Protocol {
    name: "tcp",
    title: "TCP",
    about: "Measure the RTT over TCP: one exchange (with the times of the handshake, the request and both together) \
        or a series",
    default_port: Some(DEFAULT_PORT),
    responder: Responder::Program(Some("tcp-echo")),
    reply_form: ReplyForm::UpperCase,
    phases: &[Phase { name: "handshake", end: "connection established" }],
    framing: Framing::Stream,
    is_ordered: true,
    is_reliable: true,
    // TCP has no limit. The client has one because it keeps several copies of a message in memory.
    max_message_len: 16 * 1024 * 1024,
    // TCP sends nothing for an empty write.
    allows_empty_message: false,
    kernel_statistics: Some("tcp_info"),
    services: SERVICES,
    signatures: SIGNATURES,
    ip_numbers: Some(IpNumbers { v4: 6, v6: 6 }),
    handshake: Some(&HANDSHAKE),
};

/// Facts about exchanges that are handshakes: the request is the SYN, and the reply is the SYN with ACK. Each exchange
/// has its own connection, so the exchanges are independent of each other, like datagrams. No phase precedes the
/// exchange.
pub(super) const HANDSHAKE: Protocol = Protocol {
    name: "tcp",
    title: "TCP handshake",
    about: "Measure the handshakes of TCP connections",
    default_port: Some(DEFAULT_PORT),
    responder: Responder::KernelOfServer,
    reply_form: ReplyForm::Unchanged,
    phases: &[],
    framing: Framing::Datagrams,
    is_ordered: false,
    // The kernel repeats a SYN without an answer.
    is_reliable: true,
    max_message_len: 0,
    allows_empty_message: true,
    kernel_statistics: None,
    services: &[],
    signatures: &[],
    // `trace` explains the packets of whole connections.
    ip_numbers: None,
    handshake: None,
};
