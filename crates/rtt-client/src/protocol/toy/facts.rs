//! Facts about the toy protocol.

use crate::model::protocol::{Framing, Phase, Protocol, ReplyForm, Responder};

/// The registry's entry for the toy protocol.
pub(crate) const FACTS: Protocol = Protocol {
    name: "toy",
    title: "Toy",
    about: "Measure the RTT over the toy protocol (only for tests)",
    default_port: Some(4000),
    responder: Responder::Program(None),
    reply_form: ReplyForm::UpperCase,
    phases: &[
        Phase { name: "greeting", end: "greeting received" },
        Phase { name: "key exchange", end: "keys exchanged" },
    ],
    framing: Framing::Datagrams,
    is_ordered: false,
    is_reliable: false,
    max_message_len: 1000,
    allows_empty_message: false,
    kernel_statistics: None,
    services: &[],
    signatures: &[],
    ip_numbers: None,
    handshake: None,
};
