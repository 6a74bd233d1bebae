//! The names and the limits of the parts of an RTT.

/// A part of an RTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RttPart {
    Send,
    Network,
    Server,
    /// Network and server together, if they are not separate.
    NetworkAndServer,
    Receive,
}

impl RttPart {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Network => "network",
            Self::Server => "server",
            Self::NetworkAndServer => "network and server",
            Self::Receive => "receive",
        }
    }

    /// The beginning and the end of the part, for a column of a table.
    pub(super) fn span(self) -> &'static str {
        match self {
            Self::Send => "program to network interface",
            Self::Network => "to the server and back",
            Self::Server => "arrival of the request to its reply",
            Self::NetworkAndServer => "between request and reply packets",
            Self::Receive => "network interface to program",
        }
    }

    /// The beginning and the end of the part, as the end of a sentence about a time.
    pub(super) fn clause(self) -> &'static str {
        match self {
            Self::Send => {
                "from the program's send call until the packet goes to the network interface"
            }
            Self::Network => "on the way to the server and back",
            Self::Server => {
                "from the arrival of the request in the server's kernel until the server's reply"
            }
            Self::NetworkAndServer => {
                "from the departure of the request packet until the arrival of the reply packet"
            }
            Self::Receive => {
                "from the arrival of the reply packet until the waiting program runs again and has the \
                 reply"
            }
        }
    }
}
