//! [`Target`]: the server that the user names: `host`, `host:port`, `[v6]:port`, or a URL with a protocol.

use crate::model::protocol::Protocol;
use crate::protocol::registry::{PROTOCOLS, protocol_named};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host, optionally with a port and a protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The protocol, if the target is a URL.
    pub protocol: Option<&'static Protocol>,
    /// A host name or an IP address. An IPv6 address has no brackets and can have a zone (`fe80::1%eth0`).
    pub host: String,
    /// The port, if the target has one.
    pub port: Option<u16>,
}

/// The reason why a text is not a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The URL's scheme is not a registered protocol.
    #[error("`{0}://` is not a protocol that this client supports; use {advice}", advice = advice_for_scheme(.0))]
    UnknownProtocol(String),
    /// The text after the host's colon is not a port number.
    #[error("`{0}` is not a port: use a number from 1 to 65535")]
    BadPort(String),
    /// The text is a URL without `//`.
    #[error("`{0}` is not a URL: write `//` after the protocol, as in {example}HOST", example = scheme_of(.0))]
    NoSlashes(String),
    /// The host is missing or not valid.
    #[error("`{0}` is not a target: use host, host:port, [IPv6]:port or a URL ({list})", list = schemes())]
    BadHost(String),
}

impl Target {
    /// The IP address without its zone. `None` if the host is a name.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        ip_and_zone(&self.host).map(|address| address.ip)
    }
}

/// An IP address. An IPv6 address can have a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IpAndZone<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) zone: Option<&'a str>,
}

/// Parses an IP address. An IPv6 address can have a zone after `%` (RFC 4007, section 11).
pub(crate) fn ip_and_zone(text: &str) -> Option<IpAndZone<'_>> {
    if let Ok(ip) = text.parse() {
        return Some(IpAndZone { ip, zone: None });
    }
    let (address, zone) = text.split_once('%').filter(|(_, zone)| !zone.is_empty())?;
    let ip = address.parse::<Ipv6Addr>().ok()?;
    Some(IpAndZone { ip: ip.into(), zone: Some(zone) })
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (protocol, rest) = match text.split_once("://") {
            None => (None, text),
            Some((scheme, rest)) => {
                let protocol = protocol_named(&scheme.to_ascii_lowercase())
                    .ok_or_else(|| TargetError::UnknownProtocol(scheme.to_owned()))?;
                (Some(protocol), rest.strip_suffix('/').unwrap_or(rest))
            }
        };
        if protocol.is_none() && scheme_without_slashes(text).is_some() {
            return Err(TargetError::NoSlashes(text.to_owned()));
        }
        let bad_host = || TargetError::BadHost(text.to_owned());
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, after_bracket) = bracketed.split_once(']').ok_or_else(bad_host)?;
            if !is_ipv6(host) {
                return Err(bad_host());
            }
            match after_bracket {
                "" => (host, None),
                _ => (host, Some(after_bracket.strip_prefix(':').ok_or_else(bad_host)?)),
            }
        } else if is_ipv6(rest) {
            (rest, None)
        } else {
            match rest.split_once(':') {
                None => (rest, None),
                Some((host, port)) => (host, Some(port)),
            }
        };
        let is_invalid = |c: char| c.is_whitespace() || c.is_control() || "/@[]?#".contains(c);
        if host.is_empty() || host.contains(is_invalid) {
            return Err(bad_host());
        }
        let port = port.map(parse_port).transpose()?;
        Ok(Self { protocol, host: host.to_owned(), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = self.protocol {
            write!(f, "{}://", protocol.name)?;
        }
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (_, None) => write!(f, "{}", self.host),
        }
    }
}

fn is_ipv6(text: &str) -> bool {
    ip_and_zone(text).is_some_and(|address| address.ip.is_ipv6())
}

fn parse_port(text: &str) -> Result<u16, TargetError> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(TargetError::BadPort(text.to_owned())),
    }
}

/// The protocol of a URL with one slash, or with a host directly after the colon.
fn scheme_without_slashes(text: &str) -> Option<&'static Protocol> {
    let (scheme, rest) = text.split_once(':')?;
    // The name of a protocol can also be the name of a host.
    let is_port = rest.bytes().all(|byte| byte.is_ascii_digit());
    protocol_named(&scheme.to_ascii_lowercase()).filter(|_| !is_port)
}

/// The start of a URL with the protocol of `text`.
fn scheme_of(text: &str) -> String {
    scheme_without_slashes(text).map_or_else(schemes, |protocol| format!("{}://", protocol.name))
}

/// The targets that are possible instead of a URL with this scheme. It can be the name of a service.
fn advice_for_scheme(scheme: &str) -> String {
    let has_service = |protocol: &&Protocol| {
        protocol.services.iter().any(|service| service.name.eq_ignore_ascii_case(scheme))
    };
    match PROTOCOLS.iter().find(has_service) {
        Some(protocol) => {
            format!("{}://HOST with `--service {}`", protocol.name, scheme.to_ascii_lowercase())
        }
        None => format!("one of {}", schemes()),
    }
}

fn schemes() -> String {
    PROTOCOLS.iter().map(|protocol| format!("{}://", protocol.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_targets_are_parsed() {
        for (text, protocol, host, port) in [
            ("localhost", None, "localhost", None),
            ("192.0.2.1:7", None, "192.0.2.1", Some(7)),
            ("::1", None, "::1", None),
            ("[::1]", None, "::1", None),
            ("[2001:db8::7]:9000", None, "2001:db8::7", Some(9000)),
            ("[fe80::1%eth0]:9000", None, "fe80::1%eth0", Some(9000)),
            ("fe80::1%eth0", None, "fe80::1%eth0", None),
            ("fe80::1%2", None, "fe80::1%2", None),
            ("udp://example.net", Some("udp"), "example.net", None),
            ("tcp://[::1]:12000/", Some("tcp"), "::1", Some(12000)),
            ("tcp://[fe80::1%lo]", Some("tcp"), "fe80::1%lo", None),
            ("UDP://host", Some("udp"), "host", None),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.protocol.map(|protocol| protocol.name), protocol, "{text}");
            assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
            assert_eq!(target.to_string().parse(), Ok(target), "{text}");
        }
    }

    #[test]
    fn invalid_targets_are_rejected() {
        for text in ["", ":7", "udp://", "[::1", "[::1]7", "a b", "[name]:7", "[::1%]:7", "http/x"]
        {
            let error = text.parse::<Target>().unwrap_err();
            assert!(matches!(error, TargetError::BadHost(_)), "{text}: {error}");
        }
        for text in ["host:", "host:0", "host:65536", "host:-1", "[::1]:x", "a:b:c"] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(matches!(error, TargetError::BadPort(_)), "{text}: {error}");
        }
        for (text, expected) in [
            ("udp:/localhost", "write `//` after the protocol, as in udp://HOST"),
            ("TCP:localhost:7", "as in tcp://HOST"),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a URL")), "{error}");
            assert!(error.ends_with(expected), "{error}");
        }
        assert!("udp:7".parse::<Target>().is_ok(), "a host can have the name of a protocol");
        let error = "sctp://host".parse::<Target>().unwrap_err();
        assert!(error.to_string().contains("udp://, tcp://"), "{error}");
    }

    #[test]
    fn ip_address_does_not_contain_the_zone() {
        let ip = |text: &str| text.parse::<Target>().unwrap().ip();
        assert_eq!(ip("fe80::1%eth0"), Some("fe80::1".parse().unwrap()));
        assert_eq!(ip("192.0.2.1"), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(ip("example.net"), None);
        assert_eq!(ip("192.0.2.1%eth0"), None);
    }
}
