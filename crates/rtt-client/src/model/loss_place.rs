//! [`LossPlace`]: the place where an exchange was lost.

use std::fmt;

/// The place where an exchange was lost. It is derived from evidence only. Without evidence, it is
/// [`LossPlace::Unknown`].
///
/// The order of the variants is the path of an exchange: from this host to the server and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossPlace {
    /// This host did not send the request.
    SendQueue,
    /// The loss was on the way to the server.
    There,
    /// The server's kernel dropped the request, because the receive queue of the server's socket was full.
    ServerQueue,
    /// The server refused the request, because of its rate limit or its list of ports.
    ServerLimit,
    /// The loss was on the way back.
    Back,
    /// This host's kernel dropped the reply, because the receive queue of the client's socket was full.
    ReceiveQueue,
    /// The place is not known.
    Unknown,
}

impl LossPlace {
    /// All places, in the order of the path.
    pub const ALL: [Self; 7] = [
        Self::SendQueue,
        Self::There,
        Self::ServerQueue,
        Self::ServerLimit,
        Self::Back,
        Self::ReceiveQueue,
        Self::Unknown,
    ];

    /// The name in JSON. It is part of the JSON interface, so it does not change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SendQueue => "send-queue",
            Self::There => "there",
            Self::ServerQueue => "server-queue",
            Self::ServerLimit => "server-limit",
            Self::Back => "back",
            Self::ReceiveQueue => "receive-queue",
            Self::Unknown => "unknown",
        }
    }

    /// The place in words, after a number: `3 on the way to the server`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::SendQueue => "not sent by this host",
            Self::There => "on the way to the server",
            Self::ServerQueue => "in the server's receive queue",
            Self::ServerLimit => "refused by the server's limit",
            Self::Back => "on the way back",
            Self::ReceiveQueue => "in this host's receive queue",
            Self::Unknown => "at an unknown place",
        }
    }
}

impl fmt::Display for LossPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
