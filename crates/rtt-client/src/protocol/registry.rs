//! The list of protocols that the client can measure. Pure.
//!
//! A new protocol needs a folder below `protocol/`, an entry here, and an entry in the list of drivers in
//! `protocol.rs`.

use super::{tcp, udp};
use crate::model::protocol::Protocol;

/// The protocols, in the order in which output lists them.
pub static PROTOCOLS: &[Protocol] = &[udp::facts::FACTS, tcp::facts::FACTS];

/// The protocol with this name, if there is one.
#[must_use]
pub fn protocol_named(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}
