//! Facts about UDP.

use crate::model::protocol::{Framing, Protocol};

/// The registry's entry for UDP.
pub(crate) const FACTS: Protocol = Protocol {
    name: "udp",
    title: "UDP",
    about: "Measure the RTT over UDP: one exchange with its times, or a series",
    default_port: 25000,
    // The maximum length of an IPv4 packet (65,535 bytes) minus the IPv4 header (20) and the UDP header (8).
    max_message_len: 65_507,
    carries_empty: true,
    framing: Framing::Datagrams,
    ip_number: crate::model::headers::UDP,
};
