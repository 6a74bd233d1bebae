//! [`Protocol`]: the facts about a protocol that generic code uses.

use crate::model::service::{Service, Signature};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The facts about a protocol. Generic code uses these facts. It contains no special case for a single protocol.
///
/// The facts are independent of each other: for example, a protocol can have connections and still carry datagrams.
#[derive(Debug)]
pub struct Protocol {
    /// The name in URLs, on the command line and in JSON. It consists of lower-case letters.
    pub name: &'static str,
    /// The name in text for people.
    pub title: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// The server's port, if the target has none. Absent if the protocol has no ports.
    pub default_port: Option<u16>,
    /// What replies to a request.
    pub responder: Responder,
    /// The correct reply to a request. Echo server programs of other projects can return the unchanged request instead.
    pub reply_form: ReplyForm,
    /// The phases of a connection before its first exchange, in their order. Empty if the protocol has no connections.
    pub phases: &'static [Phase],
    /// How replies arrive.
    pub framing: Framing,
    /// Whether each reply arrives at most once, in the order of the requests.
    pub is_ordered: bool,
    /// Whether the system acknowledges data, and sends lost data again.
    pub is_reliable: bool,
    /// The maximum length of a request or a reply, in bytes.
    pub max_message_len: usize,
    /// Whether a request can be empty.
    pub allows_empty_message: bool,
    /// The name of the kernel's statistics about a connection in JSON. Absent if the kernel has no such statistics.
    pub kernel_statistics: Option<&'static str>,
    /// The services that the client can measure over this protocol without an echo server.
    pub services: &'static [Service],
    /// The messages that identify the service of a server.
    pub signatures: &'static [Signature],
    /// The protocol numbers in the IP header. Absent if the client cannot capture and dissect the protocol's packets.
    pub ip_numbers: Option<IpNumbers>,
    /// The facts about the handshakes of its connections, if the client can measure them alone. They have the name of the
    /// protocol and another title.
    pub handshake: Option<&'static Protocol>,
}

/// What replies to the requests of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Responder {
    /// A server program. The value is the name of this project's server, if the project has one.
    Program(Option<&'static str>),
    /// The kernel of the target's host. It replies without a server program.
    Kernel,
    /// The kernel of the target's host. It replies only if a server program listens on the port. The program does not take
    /// part in the reply. So the exchange is the handshake of a connection.
    KernelOfServer,
}

/// The correct reply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyForm {
    /// The request in upper case.
    UpperCase,
    /// The unchanged request.
    Unchanged,
}

impl ReplyForm {
    /// The name in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UpperCase => "upper",
            Self::Unchanged => "same",
        }
    }

    /// The other form.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::UpperCase => Self::Unchanged,
            Self::Unchanged => Self::UpperCase,
        }
    }
}

/// A phase of a connection. The first phase starts with the connection request. Each later phase starts at the end of
/// the previous one.
#[derive(Debug, PartialEq, Eq)]
pub struct Phase {
    /// The name: `handshake`.
    pub name: &'static str,
    /// The event at its end: `connection established`.
    pub end: &'static str,
}

/// The protocol numbers in the IP header (IANA "Protocol Numbers").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpNumbers {
    /// The number over IPv4.
    pub v4: u8,
    /// The number over IPv6.
    pub v6: u8,
}

/// How replies arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Each reply is one datagram.
    Datagrams,
    /// Replies are a stream of bytes. One read can return a part of a reply or several replies.
    Stream,
}

impl Protocol {
    /// Whether the client opens a connection to the server before the first request.
    #[must_use]
    pub fn has_connections(&self) -> bool {
        !self.phases.is_empty()
    }

    /// Whether a server has a port.
    #[must_use]
    pub fn has_ports(&self) -> bool {
        self.default_port.is_some()
    }

    /// Whether there is a reply only if a server program runs. A host can be up while this program does not run.
    #[must_use]
    pub fn needs_server_program(&self) -> bool {
        self.responder != Responder::Kernel
    }

    /// Whether a server program replies. Its time is a part of the RTT.
    #[must_use]
    pub fn program_replies(&self) -> bool {
        matches!(self.responder, Responder::Program(_))
    }

    /// Whether a server program receives requests without a connection. A silent program can have received them.
    #[must_use]
    pub fn receives_datagrams(&self) -> bool {
        self.program_replies() && !self.has_connections()
    }

    /// Whether an exchange is the handshake of a connection. It carries no messages.
    #[must_use]
    pub fn is_handshake(&self) -> bool {
        self.responder == Responder::KernelOfServer
    }

    /// The name of this project's server for the protocol, if there is one.
    #[must_use]
    pub fn our_server(&self) -> Option<&'static str> {
        match self.responder {
            Responder::Program(program) => program,
            Responder::Kernel | Responder::KernelOfServer => None,
        }
    }

    /// The possible forms of correct replies.
    #[must_use]
    pub fn reply_forms(&self) -> &'static [ReplyForm] {
        match (self.responder, self.reply_form) {
            (Responder::Program(_), _) => &[ReplyForm::UpperCase, ReplyForm::Unchanged],
            (_, ReplyForm::UpperCase) => &[ReplyForm::UpperCase],
            (_, ReplyForm::Unchanged) => &[ReplyForm::Unchanged],
        }
    }

    /// The address for people and for JSON: without the port if the protocol has no ports, or if the port is not known (0).
    #[must_use]
    pub fn display_address(&self, address: SocketAddr) -> DisplayAddress {
        DisplayAddress { address, has_port: self.has_ports() && address.port() > 0 }
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        // The handshakes of a protocol have its name.
        (self.name, self.title) == (other.name, other.title)
    }
}

impl Eq for Protocol {}

impl IpNumbers {
    /// The number in the header of a packet to or from the host with this address.
    #[must_use]
    pub fn for_ip(self, address: IpAddr) -> u8 {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// An address as text, with or without its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayAddress {
    address: SocketAddr,
    has_port: bool,
}

impl DisplayAddress {
    /// The address of a host, without a port.
    #[must_use]
    pub fn without_port(address: SocketAddr) -> Self {
        Self { address, has_port: false }
    }
}

impl fmt::Display for DisplayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            address if self.has_port => write!(f, "{address}"),
            SocketAddr::V6(address) if address.scope_id() > 0 => {
                write!(f, "{}%{}", address.ip(), address.scope_id())
            }
            address => write!(f, "{}", address.ip()),
        }
    }
}

impl serde::Serialize for DisplayAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A protocol for tests: it has datagrams and no connections, and almost no other property.
#[cfg(test)]
pub(crate) const EXAMPLE: Protocol = Protocol {
    name: "example",
    title: "Example",
    about: "Measure the RTT over the protocol of the tests",
    default_port: Some(7),
    responder: Responder::Program(None),
    reply_form: ReplyForm::UpperCase,
    phases: &[],
    framing: Framing::Datagrams,
    is_ordered: false,
    is_reliable: false,
    max_message_len: 1000,
    allows_empty_message: true,
    kernel_statistics: None,
    services: &[],
    signatures: &[],
    ip_numbers: None,
    handshake: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_and_its_handshakes_differ_although_they_have_one_name() {
        static HANDSHAKE: Protocol = Protocol {
            title: "Example handshake",
            responder: Responder::KernelOfServer,
            ..EXAMPLE
        };
        assert_ne!(EXAMPLE, HANDSHAKE);
        assert!(HANDSHAKE.is_handshake() && !EXAMPLE.is_handshake());
    }

    #[test]
    fn shown_address_has_a_port_only_if_the_protocol_has_ports() {
        for (address, with_port, without_port) in [
            ("192.0.2.1:7", "192.0.2.1:7", "192.0.2.1"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7", "2001:db8::1"),
            ("[fe80::1%3]:7", "[fe80::1%3]:7", "fe80::1%3"),
        ] {
            let shown = |has_port| {
                let address = address.parse().unwrap();
                DisplayAddress { address, has_port }.to_string()
            };
            assert_eq!([shown(true), shown(false)], [with_port, without_port]);
        }
    }
}
