//! The list of protocols that the client can measure.
//!
//! To add a protocol, create its folder in `protocol/`. Then add it to [`PROTOCOLS`], and to `DRIVERS` in
//! `protocol.rs`.

use super::{tcp, udp};
use crate::model::protocol::Protocol;
use crate::model::target::Target;

/// All protocols, in the order of the output.
pub static PROTOCOLS: &[Protocol] = &[udp::facts::FACTS, tcp::facts::FACTS];

/// Finds the protocol with this name.
#[must_use]
pub fn protocol_named(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

/// The protocol in the target's URL. Without a URL, all protocols.
pub(crate) fn protocols_of(target: &Target) -> impl Iterator<Item = &'static Protocol> {
    let selected = target.protocol;
    PROTOCOLS.iter().filter(move |protocol| selected.is_none_or(|only| only == *protocol))
}
