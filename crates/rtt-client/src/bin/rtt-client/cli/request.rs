//! Options of requests to servers that are not echo servers.

use super::{message, services, whole_number};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgGroup, Args, Command};
use rtt_client::{Content, CustomRequest, PROTOCOLS, Protocol, ReplyEnd, ReplyRule, ReplyStart};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;

/// The group of the options that define a request.
const CUSTOM: &str = "custom_request";

/// The help of `--connect-only`.
const CONNECT_ONLY: &str = "Measure only the handshake: the time from the connection request (SYN) until the connection is \
                            established. The server receives no request. In a comparison, this applies to each side whose protocol has \
                            connections";

/// The heading of these options in the help.
const HEADING: &str = "Other services";

/// The service in the examples of the help.
const EXAMPLE: &str = "redis";

/// The name in `--service help`.
const HELP: &str = "help";

/// The largest file of `--send-file`, in bytes. The longest request over any protocol has 16 MiB, and an escape has up
/// to four bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Options of requests to servers that are not echo servers.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new(CUSTOM).args(["send", "send_file"]))]
pub(crate) struct RequestArgs {
    #[arg(long, help_heading = HEADING, value_name = "NAME", value_parser = ServiceParser,
        conflicts_with_all = ["send", "send_file", "expect_prefix", "reply_ends", "reply_bytes", "echo"],
        help = format!("Measure a service with a predefined request: {}. \"{HELP}\" lists the services", service_names()))]
    service: Option<String>,

    /// Send this request to a server that is not an echo server. Escapes: \r \n \t \\ \xHH. With an empty text over
    /// a stream, the client waits for data that the server sends first
    #[arg(long, help_heading = HEADING, value_name = "TEXT", value_parser = escaped, conflicts_with_all = ["send_file", "echo"])]
    send: Option<Bytes>,

    /// Send the request in this file, with the same escapes
    #[arg(long, help_heading = HEADING, value_name = "FILE", value_parser = file, conflicts_with = "echo")]
    send_file: Option<Bytes>,

    /// A correct reply begins with this text (same escapes) [default: any reply is correct, also an error]
    #[arg(long, help_heading = HEADING, value_name = "TEXT", value_parser = escaped, requires = CUSTOM)]
    expect_prefix: Option<Bytes>,

    /// A reply ends with this text (same escapes) [default: a reply is complete when its first bytes arrive]
    #[arg(long, help_heading = HEADING, value_name = "TEXT", value_parser = escaped, requires = CUSTOM, conflicts_with = "reply_bytes")]
    reply_ends: Option<Bytes>,

    /// A reply has this number of bytes
    #[arg(long, help_heading = HEADING, value_name = "N", value_parser = whole_number::<usize>, requires = CUSTOM)]
    reply_bytes: Option<usize>,

    #[arg(long, help_heading = HEADING, conflicts_with_all = ["service", "send", "send_file"], help = CONNECT_ONLY)]
    connect_only: bool,
}

/// The bytes of an argument. (clap treats an option of type `Vec` as a list of arguments.)
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

impl RequestArgs {
    /// Whether an option selects a request.
    pub(crate) fn is_selected(&self) -> bool {
        self.connect_only
            || self.service.is_some()
            || self.send.is_some()
            || self.send_file.is_some()
    }

    /// The selected request.
    pub(crate) fn content(&self) -> Option<Content> {
        if self.connect_only {
            return Some(Content::Handshake);
        }
        if let Some(service) = &self.service {
            return Some(Content::Service(service.clone()));
        }
        let Bytes(request) = self.send.as_ref().or(self.send_file.as_ref())?;
        let text = |bytes: &Bytes| Cow::Owned(bytes.0.clone());
        let end = match (&self.reply_ends, self.reply_bytes) {
            (Some(end), _) => ReplyEnd::Text(text(end)),
            (None, Some(len)) => ReplyEnd::Length(len),
            (None, None) => ReplyEnd::FirstBytes,
        };
        let start = self.expect_prefix.as_ref().map_or(Cow::Borrowed(&b""[..]), text);
        let reply = ReplyRule { start: ReplyStart::Text(start), end };
        Some(Content::Request(CustomRequest { bytes: request.clone().into(), reply }))
    }
}

/// Two commands for the help. They measure a service, and the part of its RTT that the path causes.
pub(super) fn examples() -> String {
    let has_example =
        |protocol: &&Protocol| protocol.services.iter().any(|service| service.name == EXAMPLE);
    let protocol = PROTOCOLS.iter().find(has_example).map_or("", |protocol| protocol.name);
    let kernel = kernel_protocol().map_or("", |protocol| protocol.name);
    format!(
        "Examples: how long a service takes, and how much of this time is network
  rtt-client {protocol} HOST --service {EXAMPLE} -c 1000 -i 0 -q
  rtt-client compare {kernel}://HOST {protocol}://HOST --service {EXAMPLE}"
    )
}

/// The first protocol to which the kernel of the target's host replies.
pub(super) fn kernel_protocol() -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| !protocol.needs_server_program())
}

/// The names of the services of all protocols.
fn service_names() -> String {
    let services = PROTOCOLS.iter().flat_map(|protocol| protocol.services);
    services.map(|service| service.name).collect::<Vec<_>>().join(", ")
}

/// Parses the name of a service. [`HELP`] ends the parser like `--help`, so it needs no other argument.
#[derive(Clone)]
struct ServiceParser;

impl TypedValueParser for ServiceParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        if value == HELP {
            return Err(message::text_on_stdout(services::list_of_command(command.get_name())));
        }
        // The error of this parser suggests a similar name.
        let services = PROTOCOLS.iter().flat_map(|protocol| protocol.services);
        PossibleValuesParser::new(services.map(|service| service.name))
            .parse_ref(command, argument, value)
    }
}

fn escaped(text: &str) -> Result<Bytes, String> {
    unescape(text.as_bytes()).map(Bytes)
}

fn file(path: &str) -> Result<Bytes, String> {
    let error = |error: std::io::Error| format!("cannot read the file: {error}");
    let mut content = Vec::new();
    let file = File::open(path).map_err(error)?;
    file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(error)?;
    if content.len() as u64 > MAX_FILE {
        return Err(format!("the file has more than {MAX_FILE} bytes"));
    }
    if content.is_empty() {
        return Err("the file is empty; if the server sends first, use `--send ''`".to_owned());
    }
    unescape(&content).map(Bytes)
}

/// Replaces the escapes `\r`, `\n`, `\t`, `\\` and `\xHH`.
fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'\\', [b'r', tail @ ..]) => (b'\r', tail),
            (b'\\', [b'n', tail @ ..]) => (b'\n', tail),
            (b'\\', [b't', tail @ ..]) => (b'\t', tail),
            (b'\\', [b'\\', tail @ ..]) => (b'\\', tail),
            (b'\\', [b'x', high, low, tail @ ..]) if is_hex(*high) && is_hex(*low) => {
                (16 * digit(*high) + digit(*low), tail)
            }
            (b'\\', _) => {
                let position = text.len() - rest.len() + 1;
                return Err(format!(
                    "the escape at byte {position} is not valid; valid are \\r \\n \\t \\\\ \\xHH"
                ));
            }
            (byte, tail) => (*byte, tail),
        };
        result.push(byte);
        rest = tail;
    }
    Ok(result)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes() {
        assert_eq!(unescape(b"PING\\r\\n").unwrap(), b"PING\r\n");
        assert_eq!(unescape(b"\\t\\\\\\x00\\xfF\\x7fz").unwrap(), b"\t\\\0\xff\x7fz");
        assert_eq!(unescape("ß".as_bytes()).unwrap(), "ß".as_bytes());
        assert_eq!(unescape(b"").unwrap(), b"");
    }

    #[test]
    fn invalid_escape_is_an_error_with_its_position() {
        for (text, position) in
            [(&b"ab\\"[..], 3), (b"\\q", 1), (b"\\x1", 1), (b"x\\xg0", 2), (b"\\\\\\x", 3)]
        {
            let error = unescape(text).unwrap_err();
            assert!(error.contains(&format!("at byte {position} ")), "{text:?}: {error}");
        }
    }
}
