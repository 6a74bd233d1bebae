//! [`ExpectedServer`]: the server whose replies are correct in a run, and the words for it.

use super::protocol::{Framing, Protocol};
use super::service::Service;

/// The server whose replies are correct in a run.
#[derive(Debug, Clone, Copy)]
pub enum ExpectedServer {
    /// An echo server: a program, or the kernel of a host.
    Echo,
    /// A server of a predefined service.
    Service(&'static Service),
    /// Any server that sends the reply that the user has defined for a request.
    Request,
    /// Any server that accepts connections.
    Handshake,
}

impl ExpectedServer {
    /// The expected server of the exchanges of `protocol` without a service.
    pub(crate) fn without_service(protocol: &Protocol) -> Self {
        if protocol.is_handshake() { Self::Handshake } else { Self::Echo }
    }

    /// Whether it is an echo server.
    #[must_use]
    pub fn is_echo(self) -> bool {
        matches!(self, Self::Echo)
    }

    /// The predefined service, if there is one.
    #[must_use]
    pub fn service(self) -> Option<&'static Service> {
        match self {
            Self::Service(service) => Some(service),
            Self::Echo | Self::Request | Self::Handshake => None,
        }
    }

    /// Whether it is a predefined service over `protocol` that sends first, after the client has connected.
    pub(crate) fn sends_first(self, protocol: &Protocol) -> bool {
        let has_no_request = self.service().is_some_and(|service| service.request.is_empty());
        has_no_request && protocol.framing == Framing::Stream
    }

    /// The subject of a sentence: `an echo server`.
    pub(crate) fn subject(self) -> String {
        match self {
            Self::Echo => "an echo server".to_owned(),
            Self::Service(service) => format!("the {} service", service.title),
            Self::Request | Self::Handshake => "a server".to_owned(),
        }
    }

    /// A clause about a correct reply: `an echo server answers`.
    pub(crate) fn answers(self) -> String {
        let verb = match self {
            Self::Echo | Self::Service(_) => "answers",
            Self::Request => "sends the expected reply",
            Self::Handshake => "accepts connections",
        };
        format!("{} {verb}", self.subject())
    }

    /// A clause about a missing reply: `no echo server answers`.
    pub(crate) fn does_not_answer(self) -> String {
        match self {
            Self::Echo => "no echo server answers".to_owned(),
            Self::Service(_) => format!("{} does not answer", self.subject()),
            Self::Request => "no server sends the expected reply".to_owned(),
            Self::Handshake => "no server accepts connections".to_owned(),
        }
    }

    /// A clause about a program that sends a wrong reply or none: `no echo server answers`.
    pub(crate) fn has_no_correct_reply(self) -> String {
        match self {
            Self::Service(_) => format!("no correct reply of {}", self.subject()),
            Self::Echo | Self::Request | Self::Handshake => self.does_not_answer(),
        }
    }

    /// A predicate about a program that sends a wrong reply or none: `does not answer as an echo server`.
    pub(crate) fn sends_no_correct_reply(self) -> String {
        match self {
            Self::Echo => "does not answer as an echo server".to_owned(),
            Self::Service(_) => format!("sends no correct reply of {}", self.subject()),
            Self::Request => "does not send the expected reply".to_owned(),
            Self::Handshake => "does not accept connections".to_owned(),
        }
    }
}
