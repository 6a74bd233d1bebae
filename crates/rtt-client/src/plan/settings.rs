//! [`Settings`]: everything that a caller can choose, except the protocol and the target.

use super::payload::TOKEN_LEN;
use crate::model::failure_context::VersionOption;
use crate::model::protocol::Protocol;
use crate::model::service::ReplyRule;
use bytes::Bytes;
use echo_core::header::version2;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// The size of a request in a series if none is given, in bytes. It has space for a timing header of version 2, a complete
/// token and some filler text (`docs/protocol.md`).
pub const DEFAULT_REQUEST_LEN: usize = 144;

const _: () = assert!(DEFAULT_REQUEST_LEN > version2::MIN_LEN + TOKEN_LEN);

/// The timeout if none is given.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// The host if no target is given: this host.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    /// The name of the version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// The lifetime of connections, for protocols with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// One connection for the run. If the server closes the connection, or if it stops working while a new one would
    /// work, the client opens a new one.
    #[default]
    Keep,
    /// One connection for each exchange.
    Each,
}

/// The correct reply of an echo server program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EchoForm {
    /// The request in upper case, or the unchanged request. The first reply for which these forms differ selects one of
    /// them.
    #[default]
    Auto,
    /// The request in upper case.
    Upper,
    /// The unchanged request, as RFC 862 specifies.
    Same,
}

/// The content of requests.
#[derive(Debug, Clone)]
pub enum Content {
    /// The user's message, unchanged.
    Message(Bytes),
    /// The number of the request and its token, followed by a space and the user's message.
    Numbered(Bytes),
    /// The number of the request and its token, followed by filler text. The value is the size of the request in bytes.
    /// Without a value, the size is [`DEFAULT_REQUEST_LEN`].
    Sized(Option<usize>),
    /// No request: the handshake of a new connection is the exchange ([`Protocol::handshake`]).
    ///
    /// [`Protocol::handshake`]: crate::Protocol::handshake
    Handshake,
    /// A request to any service.
    Request(CustomRequest),
    /// The request of the predefined service with this name. Each protocol has its own services.
    Service(String),
}

impl Content {
    /// Whether this content is possible over the protocol, if the protocol has the selected service.
    fn applies_to(&self, protocol: &Protocol) -> bool {
        match self {
            Self::Message(_) | Self::Numbered(_) | Self::Sized(_) => true,
            Self::Handshake => protocol.handshake.is_some(),
            Self::Request(_) | Self::Service(_) => protocol.program_replies(),
        }
    }

    /// Whether this content is possible over the protocol.
    pub(super) fn is_available_over(&self, protocol: &Protocol) -> bool {
        let has_service = match self {
            Self::Service(name) => protocol.services.iter().any(|service| service.name == name),
            _ => true,
        };
        self.applies_to(protocol) && has_service
    }

    /// Whether the requests are requests to an echo server. Only these can have any size.
    pub(super) fn is_echo(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Numbered(_) | Self::Sized(_))
    }
}

/// A request of the user to any service, and the correct reply.
#[derive(Debug, Clone)]
pub struct CustomRequest {
    /// The bytes of each request.
    pub bytes: Bytes,
    /// The rule for its reply.
    pub reply: ReplyRule,
}

/// Everything that a caller can choose, except the protocol and the target.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is an independent option")]
pub struct Settings {
    /// The version of IP. Without a value, both versions are allowed.
    pub family: Option<Family>,
    /// The local address. With port 0, the system chooses the port.
    pub bind: Option<SocketAddr>,
    /// The hop limit (TTL) of sent packets. Without a value, the system chooses it.
    pub ttl: Option<NonZeroU8>,
    /// The timeout of the name look-up, of each connection attempt and of each reply.
    pub timeout: Duration,
    /// The content of requests.
    pub content: Content,
    /// The correct reply of an echo server program. The kernel of a host always replies with the unchanged request.
    pub echo: EchoForm,
    /// The number of requests. If this and `duration` are both `None`, the run lasts until it is interrupted.
    pub count: Option<u64>,
    /// The run stops sending requests after this time.
    pub duration: Option<Duration>,
    /// The minimum time between two sends. The next request also waits for the reply to the previous one.
    pub interval: Duration,
    /// A fixed number of requests per second. The interval is then ignored, and requests do not wait for replies.
    pub rate: Option<f64>,
    /// The lifetime of connections.
    pub lifetime: Lifetime,
    /// Whether the series continues although the server is absent, or the name of the target has no address. Otherwise, an
    /// error before the first reply ends it.
    pub keep_going: bool,
    /// Whether to split each RTT into its parts with kernel timestamps.
    pub breakdown: bool,
    /// Whether requests with filler text request the server's counts, which show where exchanges are lost. This needs
    /// datagrams of at least [`version2::MIN_LEN`] bytes, and a server of this project.
    pub locate_losses: bool,
    /// The CPU that runs the measuring thread.
    pub pin: Option<usize>,
    /// Whether to busy-poll for replies instead of sleeping.
    pub spin: bool,
}

impl Settings {
    /// One exchange of `message`.
    pub fn one(message: impl Into<Bytes>) -> Self {
        Self {
            family: None,
            bind: None,
            ttl: None,
            timeout: DEFAULT_TIMEOUT,
            content: Content::Message(message.into()),
            echo: EchoForm::Auto,
            count: Some(1),
            duration: None,
            interval: Duration::ZERO,
            rate: None,
            lifetime: Lifetime::Keep,
            keep_going: false,
            breakdown: false,
            locate_losses: false,
            pin: None,
            spin: false,
        }
    }

    /// `count` exchanges of [`DEFAULT_REQUEST_LEN`] bytes. Each exchange starts immediately after the previous one.
    #[must_use]
    pub fn series(count: u64) -> Self {
        Self {
            content: Content::Sized(None),
            count: Some(count),
            locate_losses: true,
            ..Self::one("")
        }
    }

    /// The settings of the plan over `protocol`, which is one of several plans. If the selected request does not apply to
    /// this protocol, the plan has requests to an echo server instead. The same is true for the form of replies. A setting that applies to
    /// none of the `protocols` stays unchanged, so [`Plan::new`](super::Plan::new) rejects it.
    pub(crate) fn applicable_to(&self, protocol: &Protocol, protocols: &[&Protocol]) -> Self {
        let is_replaced = !self.content.applies_to(protocol)
            && protocols.iter().any(|other| self.content.applies_to(other));
        let has_echo_form =
            protocol.program_replies() || !protocols.iter().any(|other| other.program_replies());
        Self {
            content: if is_replaced { Content::Sized(None) } else { self.content.clone() },
            echo: if has_echo_form { self.echo } else { EchoForm::Auto },
            ..self.clone()
        }
    }

    /// The version of IP in `family`. If it is `None`, the version of the local address.
    pub(crate) fn version(&self) -> Option<Family> {
        let version_of =
            |address: SocketAddr| if address.is_ipv4() { Family::V4 } else { Family::V6 };
        self.family.or(self.bind.map(version_of))
    }

    /// The option of the command line that selects [`Settings::version`].
    pub(crate) fn version_option(&self) -> Option<VersionOption> {
        Some(match (self.family, self.version()?) {
            (Some(Family::V4), _) => VersionOption::V4,
            (Some(Family::V6), _) => VersionOption::V6,
            (None, Family::V4) => VersionOption::BindV4,
            (None, Family::V6) => VersionOption::BindV6,
        })
    }
}
