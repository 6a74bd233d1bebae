//! The dissectors of all protocols (pure). Generic code finds the dissector of a packet here.

use crate::capture::dissector::Dissector;
use crate::protocol::registry::for_all_protocols;

/// Creates the list of dissectors.
macro_rules! dissectors {
    ($($(#[$attribute:meta])? $protocol:ident),*) => {
        /// One entry for each protocol, in the order of the registry. `None` if the client cannot dissect its packets.
        pub(crate) static DISSECTORS: &[Option<&dyn Dissector>] =
            &[$($(#[$attribute])? super::$protocol::packets::DISSECTOR),*];
    };
}
for_all_protocols!(dissectors);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::registry::PROTOCOLS;

    #[test]
    fn protocol_has_a_dissector_if_it_has_ip_numbers() {
        assert_eq!(DISSECTORS.len(), PROTOCOLS.len());
        for (protocol, dissector) in PROTOCOLS.iter().zip(DISSECTORS) {
            let dissected = dissector.map(Dissector::protocol);
            assert_eq!(dissected, protocol.ip_numbers.map(|_| protocol), "{}", protocol.name);
        }
    }
}
