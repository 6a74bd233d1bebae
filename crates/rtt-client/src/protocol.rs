//! The protocols. All code for one protocol is in its folder.
//!
//! | file | content |
//! |---|---|
//! | [`registry`] | the list of protocols and their facts (pure) |
//! | [`explanations`] | the explanations of each protocol (pure) |
//! | [`dissectors`] | the dissectors of each protocol's packets (pure) |
//! | this file | the functions of each protocol that use sockets: [`driver`] |

pub(crate) mod dissectors;
pub(crate) mod explanations;
mod icmp;
pub(crate) mod registry;
mod tcp;
#[cfg(feature = "toy-protocol")]
mod toy;
mod udp;

#[cfg(fuzzing)]
pub use icmp::fuzzing::receive_any_icmp_packet;
#[cfg(all(fuzzing, target_os = "linux", not(portable)))]
pub use tcp::decode_any_statistics;

use crate::model::protocol::Protocol;
use crate::net::driver::Driver;
use registry::for_all_protocols;

/// Creates the list of drivers.
macro_rules! drivers {
    ($($(#[$attribute:meta])? $protocol:ident),*) => {
        /// One entry for each protocol.
        static DRIVERS: &[(&Protocol, Driver)] =
            &[$($(#[$attribute])? (&$protocol::facts::FACTS, $protocol::DRIVER)),*];
    };
}
for_all_protocols!(drivers);

/// The functions of `protocol` that use sockets.
pub(crate) fn driver(protocol: &Protocol) -> &'static Driver {
    let (_, driver) = DRIVERS
        .iter()
        .find(|(facts, _)| facts.name == protocol.name)
        .expect("the registry contains every protocol");
    if !protocol.is_handshake() {
        return driver;
    }
    driver.handshake.expect("a protocol with facts about its handshakes has a driver for them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use explanations::explanations_of;

    #[test]
    fn facts_about_handshakes_have_a_driver_and_explanations() {
        for (protocol, driver) in DRIVERS {
            assert_eq!(protocol.handshake.is_some(), driver.handshake.is_some());
            if let Some(handshake) = protocol.handshake {
                assert!(handshake.is_handshake() && handshake.name == protocol.name);
                explanations_of(handshake);
            }
        }
    }
}
