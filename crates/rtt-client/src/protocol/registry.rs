//! The list of protocols that the client can measure.
//!
//! To add a protocol, create its folder in `protocol/`, declare the module in `protocol.rs`, and add the module to the
//! list here.

use crate::model::protocol::Protocol;
use crate::model::target::Target;

/// Passes the modules of all protocols to a macro, in the order of the output.
macro_rules! for_all_protocols {
    ($macro:ident) => {
        $macro! { udp, tcp, icmp, #[cfg(feature = "toy-protocol")] toy }
    };
}
pub(crate) use for_all_protocols;

/// Creates the list of facts.
macro_rules! facts {
    ($($(#[$attribute:meta])? $protocol:ident),*) => {
        /// The facts about all protocols, in the order of the output.
        pub static PROTOCOLS: &[Protocol] =
            &[$($(#[$attribute])? super::$protocol::facts::FACTS),*];
    };
}
for_all_protocols!(facts);

/// Finds the protocol with this name.
#[must_use]
pub fn protocol_named(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

/// The protocols with a server program. They are the default of commands with several protocols.
pub fn protocols_with_servers() -> impl Iterator<Item = &'static Protocol> {
    PROTOCOLS.iter().filter(|protocol| protocol.needs_server_program())
}

/// The protocols of a comparison if the targets do not select them: the first two protocols with a server program.
///
/// # Panics
///
/// Never: the registry has at least two of these protocols.
#[must_use]
pub fn default_pair() -> [&'static Protocol; 2] {
    let mut protocols = protocols_with_servers();
    let mut next =
        || protocols.next().expect("the registry has at least two protocols with servers");
    [next(), next()]
}

/// The protocol in the target's URL. Without a URL, all protocols with a server program.
pub(crate) fn protocols_of(target: &Target) -> impl Iterator<Item = &'static Protocol> {
    let selected = target.protocol;
    PROTOCOLS.iter().filter(move |protocol| match selected {
        Some(only) => only == *protocol,
        None => protocol.needs_server_program(),
    })
}
