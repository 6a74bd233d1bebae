//! Facts about UDP.

use crate::model::protocol::{Framing, Protocol};

/// The registry's entry for UDP.
pub(crate) const FACTS: Protocol = Protocol {
    name: "udp",
    title: "UDP",
    about: "Measure the RTT over UDP: one exchange or a series",
    default_port: 25000,
    max_message_len: echo_core::MAX_UDP_PAYLOAD_IPV4,
    carries_empty: true,
    has_connections: false,
    framing: Framing::Datagrams,
    ip_number: crate::model::headers::UDP,
};
