//! Recognises an unexpected service by its port and by the received bytes.

use crate::model::format::duration;
use crate::model::protocol::Protocol;
use crate::model::service::{ReplyStart, Service};
use std::time::Duration;

/// The option that measures only the handshake of a connection.
const CONNECT_ONLY: &str = "--connect-only";

/// A service that the received bytes identify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recognised {
    /// The name for people: `HTTP`.
    pub(crate) title: &'static str,
    /// The name of the predefined service, if there is one.
    pub(crate) service: Option<&'static str>,
}

/// The service whose replies begin like `received`. Absent if no service of `protocol` has such replies.
pub(crate) fn recognise(protocol: &Protocol, received: &[u8]) -> Option<Recognised> {
    let begins_like = |service: &&Service| match &service.reply.start {
        ReplyStart::Text(text) => !text.is_empty() && received.starts_with(text),
        // Other protocols can have the same few bits.
        ReplyStart::Bits { .. } => false,
    };
    let by_reply = protocol.services.iter().find(begins_like);
    by_reply
        .map(|service| Recognised { title: service.title, service: Some(service.name) })
        .or_else(|| {
            let signature = protocol
                .signatures
                .iter()
                .find(|signature| received.starts_with(signature.start))?;
            Some(Recognised { title: signature.title, service: signature.service })
        })
}

impl Recognised {
    /// The option that measures this service.
    pub(crate) fn option(self) -> String {
        self.service
            .map_or_else(|| CONNECT_ONLY.to_owned(), |service| format!("--service {service}"))
    }

    /// Describes the received bytes, and suggests an option.
    pub(crate) fn describe(self) -> String {
        format!("The reply begins like a reply of {}: try `{}`.", self.title, self.option())
    }
}

/// Describes a server that accepts a connection and sends nothing.
pub(crate) fn describe_silence(protocol: &Protocol, port: u16, connected: Duration) -> String {
    format!(
        "Connected in {}, no reply: the server waits for something else. {}",
        duration(connected),
        advice_for_silence(protocol, port)
    )
}

/// The options that can measure a server that accepts a connection and sends nothing.
pub(crate) fn advice_for_silence(protocol: &Protocol, port: u16) -> String {
    let usual = protocol.services.iter().find(|service| service.port == port);
    match (usual, protocol.services) {
        (Some(service), _) => format!(
            "Port {port} is usual for {}: try `--service {}` or `{CONNECT_ONLY}`.",
            service.title, service.name
        ),
        (None, [example, ..]) => format!(
            "Try a service, for example `--service {}` (`--service help` lists all), or `{CONNECT_ONLY}`.",
            example.name
        ),
        (None, []) => "Check whether the port is correct.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::registry::protocol_named;

    fn option(received: &[u8]) -> Option<String> {
        recognise(protocol_named("tcp").unwrap(), received).map(Recognised::option)
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
            assert_eq!(option(received).as_deref(), expected, "{received:?}");
        }
    }

    #[test]
    fn usual_port_selects_the_suggested_service() {
        let tcp = protocol_named("tcp").unwrap();
        let text = describe_silence(tcp, 6379, Duration::from_micros(65));
        assert_eq!(
            text,
            "Connected in 65.0 µs, no reply: the server waits for something else. Port 6379 is usual for Redis: try \
             `--service redis` or `--connect-only`."
        );
        let text = advice_for_silence(tcp, 12_345);
        assert!(text.starts_with("Try a service, for example `--service http`"), "{text}");
    }
}
