//! The transport protocols of the benchmarks and the soak test.

use std::fmt;
use std::str::FromStr;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
}

impl Protocol {
    /// Both protocols, in the order of the tables.
    pub(crate) const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// The name on a command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The name of our server for this protocol.
    pub(crate) fn server(self) -> &'static str {
        match self {
            Self::Udp => "udp-echo",
            Self::Tcp => "tcp-echo",
        }
    }
}

/// The name in a table: `UDP`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let protocol = Self::ALL.into_iter().find(|protocol| protocol.name() == text);
        protocol.ok_or_else(|| "expected udp or tcp".to_owned())
    }
}
