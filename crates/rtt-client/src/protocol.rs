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
    DRIVERS
        .iter()
        .find(|(facts, _)| *facts == protocol)
        .map(|(_, driver)| driver)
        .expect("the registry contains every protocol")
}
