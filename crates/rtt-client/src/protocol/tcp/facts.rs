//! Facts about TCP.

use super::services::{SERVICES, SIGNATURES};
use crate::model::protocol::{Framing, IpNumbers, Phase, Protocol, ReplyForm, Responder};

/// The length of a header without options, in bytes (RFC 9293).
pub(super) const HEADER_LEN: usize = 20;

/// The registry's entry for TCP.
pub(crate) const FACTS: Protocol = Protocol {
    name: "tcp",
    title: "TCP",
    about: "Measure the RTT over TCP: one exchange (with the times of the handshake, the request and both together) \
        or a series",
    default_port: Some(12000),
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
};
