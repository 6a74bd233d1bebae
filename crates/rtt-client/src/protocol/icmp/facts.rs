//! Facts about ICMP echo.

use crate::model::headers::{ICMP, ICMPV6};
use crate::model::protocol::{Framing, IpNumbers, Protocol, ReplyForm, Responder};

/// The types of echo messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EchoTypes {
    pub(crate) request: u8,
    pub(crate) reply: u8,
}

/// The types over IPv4 (RFC 792).
pub(crate) const ECHO_V4: EchoTypes = EchoTypes { request: 8, reply: 0 };

/// The types over IPv6 (RFC 4443, sections 4.1 and 4.2).
pub(crate) const ECHO_V6: EchoTypes = EchoTypes { request: 128, reply: 129 };

/// The length of the header of an echo message, in bytes.
pub(crate) const HEADER_LEN: usize = 8;

/// The positions of the identifier and of the sequence number in this header.
pub(crate) const IDENTIFIER: u8 = 4;
pub(crate) const SEQUENCE: u8 = 6;

/// The registry's entry for ICMP.
pub(crate) const FACTS: Protocol = Protocol {
    name: "icmp",
    title: "ICMP",
    about: "Measure the RTT over ICMP echo (ping): the kernel of the target's host replies, without a server",
    default_port: None,
    responder: Responder::Kernel,
    reply_form: ReplyForm::Unchanged,
    phases: &[],
    framing: Framing::Datagrams,
    is_ordered: false,
    is_reliable: false,
    // The longest IPv4 packet (65,535 bytes) without the IP header (20 bytes) and the ICMP header (8 bytes). IPv6 can
    // carry 20 bytes more. Both versions have the same limit, because a name can have addresses of both versions.
    max_message_len: 65_535 - 20 - 8,
    allows_empty_message: true,
    kernel_statistics: None,
    services: &[],
    signatures: &[],
    ip_numbers: Some(IpNumbers { v4: ICMP, v6: ICMPV6 }),
    handshake: None,
};
