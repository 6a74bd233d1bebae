//! What the user points at: `host`, `host:port`, `[v6]:port`, or a URL with a protocol.

use crate::model::protocol::Protocol;
use crate::protocol::registry::{PROTOCOLS, protocol_named};
use std::{fmt, net::Ipv6Addr, str::FromStr};

/// A name or address, perhaps with a port, perhaps with a protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The protocol, where the target was a URL.
    pub protocol: Option<&'static Protocol>,
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port, where one was given.
    pub port: Option<u16>,
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The URL's scheme is not a protocol of ours.
    #[error("`{0}://` is not a protocol that can be measured; there are {list}", list = known())]
    UnknownProtocol(String),
    /// What stands behind the colon is not a port.
    #[error("`{0}` is not a port: it takes a number from 1 to 65535")]
    BadPort(String),
    /// There is no host, or it can't be one.
    #[error("`{0}` is not a target: try host, host:port, [IPv6]:port or udp://host:port")]
    BadHost(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (protocol, rest) = match text.split_once("://") {
            None => (None, text),
            Some((scheme, rest)) => {
                let known = protocol_named(&scheme.to_ascii_lowercase())
                    .ok_or_else(|| TargetError::UnknownProtocol(scheme.to_owned()))?;
                (Some(known), rest.strip_suffix('/').unwrap_or(rest))
            }
        };
        let bad_host = || TargetError::BadHost(text.to_owned());
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (host, behind) = bracketed.split_once(']').ok_or_else(bad_host)?;
            if !is_ipv6(host) {
                return Err(bad_host());
            }
            match behind {
                "" => (host, None),
                _ => (host, Some(behind.strip_prefix(':').ok_or_else(bad_host)?)),
            }
        } else if is_ipv6(rest) {
            (rest, None)
        } else {
            match rest.split_once(':') {
                None => (rest, None),
                Some((host, port)) => (host, Some(port)),
            }
        };
        let never_in_a_host = |c: char| c.is_whitespace() || c.is_control() || "/@[]?#".contains(c);
        if host.is_empty() || host.contains(never_in_a_host) {
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

/// An IPv6 address, with or without a zone (RFC 4007: `fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

fn parse_port(text: &str) -> Result<u16, TargetError> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(TargetError::BadPort(text.to_owned())),
    }
}

fn known() -> String {
    PROTOCOLS.iter().map(|protocol| format!("{}://", protocol.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_target() {
        for (text, protocol, host, port) in [
            ("localhost", None, "localhost", None),
            ("192.0.2.1:7", None, "192.0.2.1", Some(7)),
            ("::1", None, "::1", None),
            ("[::1]", None, "::1", None),
            ("[2001:db8::7]:9000", None, "2001:db8::7", Some(9000)),
            ("[fe80::1%eth0]:9000", None, "fe80::1%eth0", Some(9000)),
            ("fe80::1%eth0", None, "fe80::1%eth0", None),
            ("udp://example.net", Some("udp"), "example.net", None),
            ("tcp://[::1]:12000/", Some("tcp"), "::1", Some(12000)),
            ("UDP://host", Some("udp"), "host", None),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.protocol.map(|protocol| protocol.name), protocol, "{text}");
            assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
            assert_eq!(target.to_string().parse(), Ok(target), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in ["", ":7", "udp://", "[::1", "[::1]7", "a b", "[name]:7", "http/x"] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(matches!(error, TargetError::BadHost(_)), "{text}: {error}");
        }
        for text in ["host:", "host:0", "host:65536", "host:-1", "[::1]:x", "a:b:c"] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(matches!(error, TargetError::BadPort(_)), "{text}: {error}");
        }
        let error = "sctp://host".parse::<Target>().unwrap_err();
        assert!(error.to_string().contains("udp://, tcp://"), "{error}");
    }
}
