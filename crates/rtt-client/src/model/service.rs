//! [`Service`]: a predefined request, and [`ReplyRule`]: which reply to it is correct, and when it is complete.

use std::borrow::Cow;
use std::ops::Range;

/// A service that the client can measure without an echo server. Each protocol has a table of its services in its folder.
#[derive(Debug)]
pub struct Service {
    /// The name on the command line: `dns`.
    pub name: &'static str,
    /// The name for people: `DNS`.
    pub title: &'static str,
    /// The exchange in a few words: `query for the name servers of the root`.
    pub about: &'static str,
    /// The port if the target has none.
    pub port: u16,
    /// The request. The client replaces the text `{host}` with the host and the port of the target. An empty request
    /// over a stream means that the server sends first.
    pub request: &'static [u8],
    /// The positions of an identifier that the server copies to its reply. Absent if the service has none.
    pub identifier: Option<Identifier>,
    /// The correct reply.
    pub reply: ReplyRule,
    /// Whether the server closes the connection after this reply. The client then opens a new one.
    pub closes_after: fn(&[u8]) -> bool,
    /// The error that a correct reply reports, for people. Absent if it reports none.
    pub reported_error: fn(&[u8]) -> Option<Cow<'_, [u8]>>,
    /// The specification of the exchange.
    pub source: &'static str,
}

/// The placeholder for the host and the port of the target in [`Service::request`].
pub(crate) const HOST: &[u8] = b"{host}";

/// The positions of an identifier, in bytes. Both have the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// In a request.
    pub request: Range<usize>,
    /// In a reply.
    pub reply: Range<usize>,
}

/// Which reply is correct, and when it is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyRule {
    /// The beginning of a correct reply.
    pub start: ReplyStart,
    /// The end of a reply.
    pub end: ReplyEnd,
}

/// The beginning of a correct reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyStart {
    /// These bytes.
    Text(Cow<'static, [u8]>),
    /// A byte at a position has certain bits.
    Bits {
        /// The position of the byte.
        position: usize,
        /// The compared bits.
        mask: u8,
        /// The values of these bits.
        value: u8,
    },
}

/// The end of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyEnd {
    /// The reply is complete when its first bytes arrive. A datagram is always complete.
    FirstBytes,
    /// These bytes are the end of the reply.
    Text(Cow<'static, [u8]>),
    /// The reply has this number of bytes.
    Length(usize),
}

/// The beginning of a message that identifies a service, in addition to [`Service::reply`].
#[derive(Debug)]
pub struct Signature {
    /// The beginning of the message.
    pub start: &'static [u8],
    /// The name of the service for people.
    pub title: &'static str,
    /// The name of the predefined service. Absent if there is none.
    pub service: Option<&'static str>,
    /// The usual ports of the service, if the client has no request for it.
    pub ports: &'static [u16],
}

impl Service {
    /// Whether the server sends first, after the client has connected.
    #[must_use]
    pub fn server_sends_first(&self) -> bool {
        self.request.is_empty()
    }
}

/// A correct reply reports no error.
pub(crate) fn no_error(_: &[u8]) -> Option<Cow<'_, [u8]>> {
    None
}

/// The server keeps the connection open.
pub(crate) fn never_closes(_: &[u8]) -> bool {
    false
}
