//! [`AddressResolution`]: the first packet of a run waited for the link address of the next hop.

use crate::model::format::duration;
use std::net::IpAddr;
use std::time::Duration;

/// Before the first packet, this host did not have the link address of the next hop. It resolved the address (ARP, or
/// neighbour discovery over IPv6), and the packet waited meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressResolution {
    /// The first router, or the target itself.
    pub next_hop: IpAddr,
    /// The time until the packet left this host. Absent if the kernel took no timestamp of the packet.
    pub wait: Option<Duration>,
    /// The measured duration that contains the wait.
    pub contained_in: ContainedIn,
}

/// The duration that contains the wait for the address resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainedIn {
    /// The RTT of the first request. Absent if the request had no reply in time.
    FirstRtt(Option<Duration>),
    /// The duration of the first connection's handshake.
    Handshake(Duration),
}

impl AddressResolution {
    /// Two sentences for a person. `median` is the median RTT, if there are several RTTs.
    pub(crate) fn describe(&self, median: Option<Duration>) -> String {
        let Self { next_hop, wait, contained_in } = *self;
        let method = if next_hop.is_ipv4() { "ARP" } else { "neighbour discovery" };
        let packet = match contained_in {
            ContainedIn::FirstRtt(_) => "first request",
            ContainedIn::Handshake(_) => "first packet of the handshake",
        };
        let wait = wait.map(|wait| format!(" {}", duration(wait))).unwrap_or_default();
        let median =
            median.map(|rtt| format!(" (median RTT: {})", duration(rtt))).unwrap_or_default();
        let second = match contained_in {
            ContainedIn::FirstRtt(None) => "It had no reply in time.".to_owned(),
            ContainedIn::FirstRtt(Some(rtt)) => {
                format!("Its RTT of {} contains this time{median}.", duration(rtt))
            }
            ContainedIn::Handshake(handshake) => {
                format!("The handshake of {} contains this time{median}.", duration(handshake))
            }
        };
        format!(
            "The {packet} waited{wait} for the address resolution of the next hop {next_hop} ({method}). {second}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_has_a_number_only_if_the_wait_was_measured() {
        let rtt = Duration::from_micros(41_500);
        let resolution = AddressResolution {
            next_hop: "10.9.0.9".parse().unwrap(),
            wait: Some(Duration::from_micros(41_200)),
            contained_in: ContainedIn::FirstRtt(Some(rtt)),
        };
        assert_eq!(
            resolution.describe(Some(Duration::from_micros(310))),
            "The first request waited 41.200 ms for the address resolution of the next hop 10.9.0.9 (ARP). Its RTT \
             of 41.500 ms contains this time (median RTT: 310.0 µs)."
        );
        let lost = AddressResolution {
            wait: None,
            contained_in: ContainedIn::FirstRtt(None),
            next_hop: "fd09::9".parse().unwrap(),
        };
        assert_eq!(
            lost.describe(None),
            "The first request waited for the address resolution of the next hop fd09::9 (neighbour discovery). It \
             had no reply in time."
        );
        let contained_in = ContainedIn::Handshake(rtt);
        let handshake = AddressResolution { wait: None, contained_in, ..resolution };
        let handshake = handshake.describe(None);
        assert!(
            handshake.starts_with("The first packet of the handshake waited for"),
            "{handshake}"
        );
        assert!(
            handshake.ends_with("The handshake of 41.500 ms contains this time."),
            "{handshake}"
        );
    }
}
