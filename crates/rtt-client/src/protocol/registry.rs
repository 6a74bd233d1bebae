//! The list of protocols that the client can measure. Pure.
//!
//! A new protocol needs a folder below `protocol/`, an entry here, and an entry in the list of drivers in
//! `protocol.rs`.

use super::{tcp, udp};
use crate::model::protocol::Protocol;
use crate::model::target::Target;

/// The protocols, in the order in which output lists them.
pub static PROTOCOLS: &[Protocol] = &[udp::facts::FACTS, tcp::facts::FACTS];

/// The protocol with this name, if there is one.
#[must_use]
pub fn protocol_named(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

/// The protocol that a target selects by its URL, or else every protocol.
pub(crate) fn protocols_of(target: &Target) -> impl Iterator<Item = &'static Protocol> {
    let selected = target.protocol;
    PROTOCOLS.iter().filter(move |protocol| selected.is_none_or(|only| only == *protocol))
}
