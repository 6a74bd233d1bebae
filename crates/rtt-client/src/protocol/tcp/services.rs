//! The services over TCP.

use crate::model::service::{
    ReplyEnd, ReplyRule, ReplyStart, Service, Signature, never_closes, no_error,
};
use std::borrow::Cow;

/// The services over TCP, in the order of the output.
pub(super) const SERVICES: &[Service] = &[HTTP, REDIS, MEMCACHED, SMTP, SSH];

/// Messages that identify a service, in addition to the replies of [`SERVICES`].
pub(super) const SIGNATURES: &[Signature] = &[
    Signature { start: b"-ERR", title: "Redis", service: Some("redis"), ports: &[] },
    Signature { start: b"-NOAUTH", title: "Redis", service: Some("redis"), ports: &[] },
    Signature { start: b"ERROR\r\n", title: "memcached", service: Some("memcached"), ports: &[] },
    // An alert of TLS (RFC 8446, section 5.1): record type 21, and a version that begins with 3.
    Signature { start: b"\x15\x03", title: "TLS", service: None, ports: TLS_PORTS },
];

/// Ports on which TLS starts with the first byte of a connection: HTTP, SMTP (RFC 8314), LDAP, DNS (RFC 7858), IMAP and POP3
/// (IANA, "Service Name and Transport Protocol Port Number Registry"), and the usual second port of HTTP over TLS.
const TLS_PORTS: &[u16] = &[443, 465, 636, 853, 993, 995, 8443];

/// Any status is a correct reply, even an error: the server has answered.
const HTTP: Service = Service {
    name: "http",
    title: "HTTP",
    about: "HEAD request for the path /",
    port: 80,
    request: b"HEAD / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: rtt-client\r\nAccept: */*\r\n\r\n",
    identifier: None,
    reply: text(b"HTTP/1.", b"\r\n\r\n"),
    closes_after: http_closes,
    reported_error: http_error,
    source: "RFC 9110, section 9.3.2; RFC 9112, section 9.3",
};

const REDIS: Service = Service {
    name: "redis",
    title: "Redis",
    about: "command PING",
    port: 6379,
    request: b"PING\r\n",
    identifier: None,
    reply: text(b"+PONG", b"\r\n"),
    closes_after: never_closes,
    reported_error: no_error,
    source: "Redis serialization protocol, inline commands",
};

const MEMCACHED: Service = Service {
    name: "memcached",
    title: "memcached",
    about: "command version",
    port: 11211,
    request: b"version\r\n",
    identifier: None,
    reply: text(b"VERSION ", b"\r\n"),
    closes_after: never_closes,
    reported_error: no_error,
    source: "memcached, doc/protocol.txt",
};

const SMTP: Service = Service {
    name: "smtp",
    title: "SMTP",
    about: "greeting of the server",
    port: 25,
    request: b"",
    identifier: None,
    reply: text(b"220", b"\r\n"),
    closes_after: never_closes,
    reported_error: no_error,
    source: "RFC 5321, section 4.2",
};

const SSH: Service = Service {
    name: "ssh",
    title: "SSH",
    about: "version string of the server",
    port: 22,
    request: b"",
    identifier: None,
    // Some servers end the line with LF only.
    reply: text(b"SSH-", b"\n"),
    closes_after: never_closes,
    reported_error: no_error,
    source: "RFC 4253, section 4.2",
};

const fn text(start: &'static [u8], end: &'static [u8]) -> ReplyRule {
    ReplyRule {
        start: ReplyStart::Text(Cow::Borrowed(start)),
        end: ReplyEnd::Text(Cow::Borrowed(end)),
    }
}

/// Whether a server closes the connection after this HTTP reply: it has the option `close`, or it is HTTP/1.0 without the
/// option `keep-alive` (RFC 9112, section 9.3).
fn http_closes(reply: &[u8]) -> bool {
    let reply = String::from_utf8_lossy(reply).to_ascii_lowercase();
    let options = reply
        .lines()
        .filter_map(|line| line.strip_prefix("connection:"))
        .flat_map(|options| options.split(','))
        .map(str::trim);
    let has = |wanted: &str| options.clone().any(|option| option == wanted);
    has("close") || (reply.starts_with("http/1.0") && !has("keep-alive"))
}

/// The status line of a reply with a status of a client error or a server error (RFC 9110, section 15).
fn http_error(reply: &[u8]) -> Option<Cow<'_, [u8]>> {
    let line = reply.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let status = line.split(|byte| *byte == b' ').nth(1)?;
    let is_error = matches!(status, [b'4'..=b'9', b'0'..=b'9', b'0'..=b'9']);
    is_error.then_some(Cow::Borrowed(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_reply_states_whether_the_server_closes_the_connection() {
        for (reply, closes) in [
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nconnection: Foo, Close\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nX-Connection: close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nServer: SimpleHTTP\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", false),
        ] {
            assert_eq!(http_closes(reply.as_bytes()), closes, "{reply:?}");
        }
    }

    #[test]
    fn http_status_from_400_is_an_error() {
        for (reply, error) in [
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 302 Found\r\n\r\n", None),
            ("HTTP/1.1 400 Bad Request\r\nX: y\r\n\r\n", Some("HTTP/1.1 400 Bad Request")),
            ("HTTP/1.0 503 \r\n\r\n", Some("HTTP/1.0 503 ")),
            ("HTTP/1.1\r\n\r\n", None),
            ("HTTP/1.1 4 x\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(
                http_error(reply.as_bytes()).as_deref(),
                error.map(str::as_bytes),
                "{reply:?}"
            );
        }
    }
}
