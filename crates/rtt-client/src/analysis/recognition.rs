//! Recognises the service of a server from the port and from the received bytes, if its replies are not correct.
//!
//! The advice never contains the service that the user has already selected.

use crate::model::expected_server::ExpectedServer;
use crate::model::format::duration;
use crate::model::protocol::Protocol;
use crate::model::received_text::received_text;
use crate::model::service::{ReplyStart, Service};
use crate::plan::ShownText;
use bytes::Bytes;
use std::time::Duration;

/// The option that measures only the handshake of a connection.
const CONNECT_ONLY: &str = "--connect-only";

/// What a wrong reply shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recognised {
    /// The name of the service for people: `HTTP`.
    title: &'static str,
    /// The first line of the reply, escaped for a terminal.
    first_line: String,
    meaning: Meaning,
}

/// The meaning of a wrong reply.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// The reply is from another server than the expected one. This option measures it.
    OtherServer { option: String },
    /// The reply does not agree with the rule of the user. The client suggests no other request.
    OtherReply,
    /// The expected service refuses the request.
    Refusal,
}

/// What a wrong reply shows. Absent if no service of `protocol` has such replies, or if the reply begins like a correct
/// reply of the expected service.
pub(crate) fn recognise(
    protocol: &Protocol,
    expected: ExpectedServer,
    received: &Bytes,
) -> Option<Recognised> {
    let begins_like = |service: &&Service| match &service.reply.start {
        ReplyStart::Text(text) => !text.is_empty() && received.starts_with(text),
        // Other protocols can have the same few bits.
        ReplyStart::Bits { .. } => false,
    };
    let selected = expected.service().map(|service| service.name);
    let (title, service) = match protocol.services.iter().find(begins_like) {
        Some(service) if Some(service.name) == selected => return None,
        Some(service) => (service.title, Some(service.name)),
        None => {
            let mut signatures = protocol.signatures.iter();
            let signature = signatures.find(|signature| received.starts_with(signature.start))?;
            (signature.title, signature.service)
        }
    };
    let meaning = match (service, expected) {
        (None, _) => Meaning::OtherServer { option: CONNECT_ONLY.to_owned() },
        (service, _) if service == selected => Meaning::Refusal,
        (Some(_), ExpectedServer::Request) => Meaning::OtherReply,
        (Some(service), _) => Meaning::OtherServer { option: format!("--service {service}") },
    };
    let first_line = received_text(&ShownText::FirstLine.of(received));
    Some(Recognised { title, first_line, meaning })
}

impl Recognised {
    /// The option that measures the server. Absent if the user has already selected its service or a request.
    pub(crate) fn option(&self) -> Option<&str> {
        match &self.meaning {
            Meaning::OtherServer { option } => Some(option),
            Meaning::OtherReply | Meaning::Refusal => None,
        }
    }

    /// Whether the expected service refuses the request.
    pub(crate) fn is_refusal(&self) -> bool {
        self.meaning == Meaning::Refusal
    }

    /// A clause about the server, for a finding.
    pub(crate) fn describe_server(&self) -> String {
        let title = self.title;
        if self.is_refusal() {
            format!("the {title} service refuses the request: \"{}\"", self.first_line)
        } else {
            format!("a server answers; its reply begins like a reply of {title}")
        }
    }

    /// A sentence about the replies, for a series.
    pub(crate) fn describe(&self) -> String {
        let Self { title, first_line, meaning } = self;
        match meaning {
            Meaning::OtherServer { option } => {
                format!("The reply begins like a reply of {title}: try `{option}`.")
            }
            Meaning::OtherReply => {
                format!("The reply begins like a reply of {title}: \"{first_line}\".")
            }
            Meaning::Refusal => {
                format!("The {title} service refuses the request: \"{first_line}\".")
            }
        }
    }
}

/// The explanation of a server that accepts a connection and sends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Silence {
    /// A clause about the server.
    pub(crate) reason: String,
    /// Actions of the user, as a clause.
    pub(crate) advice: String,
}

impl Silence {
    /// Explains the silence of the server on this port.
    pub(crate) fn new(protocol: &Protocol, expected: ExpectedServer, port: u16) -> Self {
        let usual = protocol.services.iter().find(|service| service.port == port);
        let other_request = if expected.sends_first(protocol) {
            "the server possibly expects a request"
        } else {
            "the server possibly expects another request"
        };
        if let Some(advice) = advice_for_port(protocol, port) {
            return Self { reason: other_request.to_owned(), advice };
        }
        let (reason, advice) = match (usual, expected.service(), protocol.services) {
            (Some(usual), Some(selected), _) if usual.name == selected.name => (
                expected.does_not_answer(),
                format!("measure the connection alone with `{CONNECT_ONLY}`"),
            ),
            (Some(usual), _, _) => (
                other_request.to_owned(),
                format!(
                    "port {port} is usual for {}: try `--service {}` or `{CONNECT_ONLY}`",
                    usual.title, usual.name
                ),
            ),
            (None, Some(selected), _) => (
                format!(
                    "the server possibly has another service than {}, or it hangs",
                    selected.title
                ),
                format!(
                    "check whether the port is correct; measure the connection alone with `{CONNECT_ONLY}`"
                ),
            ),
            (None, None, [example, ..]) => (
                other_request.to_owned(),
                format!(
                    "try a service, for example `--service {}` (`--service help` lists all), or `{CONNECT_ONLY}`",
                    example.name
                ),
            ),
            (None, None, []) => {
                (other_request.to_owned(), "check whether the port is correct".to_owned())
            }
        };
        Self { reason, advice }
    }

    /// A clause about the time to connect and the missing reply.
    pub(crate) fn meaning(&self, connected: Duration) -> String {
        format!("connected in {}, no reply: {}", duration(connected), self.reason)
    }

    /// Sentences for a series.
    pub(crate) fn describe(&self, connected: Duration) -> String {
        let (meaning, advice) = (self.meaning(connected), &self.advice);
        format!("{} {}", sentence(&meaning), sentence(advice))
    }
}

/// A clause about a server that ends each connection after the request, or sends nothing. Absent if the port is not the usual
/// port of a service that the client cannot measure.
pub(crate) fn advice_for_port(protocol: &Protocol, port: u16) -> Option<String> {
    let mut signatures = protocol.signatures.iter();
    let title = signatures.find(|signature| signature.ports.contains(&port))?.title;
    Some(format!(
        "port {port} is usual for {title}, so it is possible that the server expects {title}: try `{CONNECT_ONLY}`"
    ))
}

/// A sentence about a server that ends each connection after the request. See [`advice_for_port`].
pub(crate) fn describe_end(protocol: &Protocol, port: u16) -> Option<String> {
    advice_for_port(protocol, port).map(|advice| sentence(&advice))
}

/// Makes a sentence of a clause.
fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::registry::protocol_named;

    fn service(name: &str) -> ExpectedServer {
        let services = protocol_named("tcp").unwrap().services;
        ExpectedServer::Service(services.iter().find(|service| service.name == name).unwrap())
    }

    fn recognised(expected: ExpectedServer, received: &'static [u8]) -> Option<Recognised> {
        recognise(protocol_named("tcp").unwrap(), expected, &Bytes::from_static(received))
    }

    #[test]
    fn service_is_recognised_by_its_reply() {
        for (received, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Some("--service http")),
            (b"-ERR unknown command\r\n", Some("--service redis")),
            (b"+PONG\r\n", Some("--service redis")),
            (b"ERROR\r\n", Some("--service memcached")),
            (b"SSH-2.0-OpenSSH_9.2p1\r\n", Some("--service ssh")),
            (b"220 mail.example ESMTP\r\n", Some("--service smtp")),
            // A TLS alert: record type 21, version 3.3, length 2, fatal, unexpected message.
            (b"\x15\x03\x03\x00\x02\x02\x0a", Some("--connect-only")),
            (b"hello", None),
            (b"", None),
        ] {
            let found = recognised(ExpectedServer::Echo, received);
            let option = found.as_ref().and_then(Recognised::option);
            assert_eq!(option, expected, "{received:?}");
        }
    }

    #[test]
    fn selected_service_is_never_suggested() {
        let refusal = recognised(service("redis"), b"-NOAUTH Authentication \x1brequired.\r\nmore");
        let refusal = refusal.unwrap();
        assert_eq!(refusal.option(), None);
        assert_eq!(
            refusal.describe(),
            r#"The Redis service refuses the request: "-NOAUTH Authentication \x1brequired."."#
        );
        // The beginning of the reply is correct, so the reply is no refusal.
        assert_eq!(recognised(service("http"), b"HTTP/1.1 200 OK\r\n"), None);
        let other = recognised(service("redis"), b"SSH-2.0-OpenSSH\r\n").unwrap();
        assert_eq!(other.option(), Some("--service ssh"));
        let tls = recognised(service("http"), b"\x15\x03\x03\x00\x02").unwrap();
        assert_eq!(tls.describe(), "The reply begins like a reply of TLS: try `--connect-only`.");
    }

    #[test]
    fn no_service_is_suggested_instead_of_the_request_of_the_user() {
        let found = recognised(ExpectedServer::Request, b"HTTP/1.1 400 Bad Request\r\n").unwrap();
        assert_eq!(found.option(), None);
        assert_eq!(
            found.describe(),
            "The reply begins like a reply of HTTP: \"HTTP/1.1 400 Bad Request\"."
        );
    }

    fn silence(expected: ExpectedServer, port: u16) -> String {
        let silence = Silence::new(protocol_named("tcp").unwrap(), expected, port);
        silence.describe(Duration::from_micros(65))
    }

    #[test]
    fn usual_port_selects_the_suggested_service() {
        for expected in [ExpectedServer::Echo, ExpectedServer::Request, service("http")] {
            assert_eq!(
                silence(expected, 6379),
                "Connected in 65.0 µs, no reply: the server possibly expects another request. Port 6379 is usual for \
                 Redis: try `--service redis` or `--connect-only`."
            );
        }
        let text = silence(ExpectedServer::Echo, 12_345);
        assert!(text.contains(". Try a service, for example `--service http`"), "{text}");
        let text = silence(service("ssh"), 6379);
        assert!(text.contains("the server possibly expects a request. Port 6379"), "{text}");
    }

    #[test]
    fn silence_of_the_selected_service_has_no_advice_to_select_it() {
        assert_eq!(
            silence(service("redis"), 6379),
            "Connected in 65.0 µs, no reply: the Redis service does not answer. Measure the connection alone with \
             `--connect-only`."
        );
        assert_eq!(
            silence(service("http"), 12_345),
            "Connected in 65.0 µs, no reply: the server possibly has another service than HTTP, or it hangs. Check whether \
             the port is correct; measure the connection alone with `--connect-only`."
        );
    }

    #[test]
    fn usual_port_of_tls_is_a_possible_reason() {
        let tcp = protocol_named("tcp").unwrap();
        let expected = "Port 465 is usual for TLS, so it is possible that the server expects TLS: try `--connect-only`.";
        assert!(silence(service("smtp"), 465).ends_with(expected));
        assert_eq!(describe_end(tcp, 465).as_deref(), Some(expected));
        assert_eq!(describe_end(tcp, 6379), None);
    }
}
