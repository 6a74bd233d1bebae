//! Facts about UDP.

use super::services::SERVICES;
use crate::model::protocol::{Framing, IpNumbers, Protocol, ReplyForm, Responder};

/// The length of the header, in bytes (RFC 768).
pub(super) const HEADER_LEN: usize = 8;

/// The registry's entry for UDP.
pub(crate) const FACTS: Protocol = Protocol {
    name: "udp",
    title: "UDP",
    about: "Measure the RTT over UDP: one exchange or a series",
    default_port: Some(25000),
    responder: Responder::Program(Some("udp-echo")),
    reply_form: ReplyForm::UpperCase,
    phases: &[],
    framing: Framing::Datagrams,
    is_ordered: false,
    is_reliable: false,
    max_message_len: echo_core::MAX_UDP_PAYLOAD_IPV4,
    allows_empty_message: true,
    kernel_statistics: None,
    services: SERVICES,
    signatures: &[],
    ip_numbers: Some(IpNumbers { v4: 17, v6: 17 }),
    handshake: None,
};
