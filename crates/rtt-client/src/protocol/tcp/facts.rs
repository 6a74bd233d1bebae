//! Facts about TCP. Pure.

use crate::model::protocol::{Framing, Protocol};

/// TCP, as the registry lists it.
pub(crate) const FACTS: Protocol = Protocol {
    name: "tcp",
    title: "TCP",
    about: "Measure the RTT over TCP: one exchange (handshake, request, total) or a series",
    default_port: 12000,
    // TCP has no limit. This one is ours, because the client holds a message in memory several times.
    max_message_len: 16 * 1024 * 1024,
    carries_empty: false,
    has_connections: true,
    framing: Framing::Stream,
    ip_number: crate::model::headers::TCP,
};
