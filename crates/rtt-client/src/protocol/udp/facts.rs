//! Facts about UDP. Pure.

use crate::model::protocol::{Framing, Protocol};

/// UDP, as the registry lists it.
pub(crate) const FACTS: Protocol = Protocol {
    name: "udp",
    title: "UDP",
    about: "Measure the RTT over UDP: one exchange or a series",
    default_port: 25000,
    // 65,535 bytes minus 20 bytes of IPv4 header and 8 bytes of UDP header.
    max_message_len: 65_507,
    carries_empty: true,
    has_connections: false,
    framing: Framing::Datagrams,
    ip_number: crate::model::headers::UDP,
};
