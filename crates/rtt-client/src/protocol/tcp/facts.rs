//! Facts about TCP.

use crate::model::protocol::{Framing, Protocol};

/// The registry's entry for TCP.
pub(crate) const FACTS: Protocol = Protocol {
    name: "tcp",
    title: "TCP",
    about: "Measure the RTT over TCP: one exchange (with the times of the handshake, the request and both together) \
        or a series",
    default_port: 12000,
    // TCP has no limit. The client has one because it keeps several copies of a message in memory.
    max_message_len: 16 * 1024 * 1024,
    carries_empty: false,
    has_connections: true,
    framing: Framing::Stream,
    ip_number: crate::model::headers::TCP,
};
