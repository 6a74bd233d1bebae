//! [`AddressChange`]: the client uses another address of the target's name.

use crate::model::protocol::Protocol;
use echo_core::Stamp;
use std::net::SocketAddr;

/// A change of the address that the client measures. The client looks up the name of the target again when it opens a new
/// channel.
#[derive(Debug, Clone)]
pub struct AddressChange {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The name of the target.
    pub host: String,
    /// The address before the change. Absent if the name had no address before.
    pub old: Option<SocketAddr>,
    /// The address from now on.
    pub new: SocketAddr,
    /// The time of the change.
    pub time: Stamp,
    /// The reason.
    pub reason: AddressChangeReason,
}

/// The reason for a change of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressChangeReason {
    /// The name no longer has the old address, or it had no address before.
    NameChanged,
    /// The name still has the old address, but no request to it had a reply. The client tries the next address.
    NoReply,
}

impl AddressChangeReason {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NameChanged => "name-changed",
            Self::NoReply => "no-reply",
        }
    }
}
