//! [`Protocol`]: the facts about a protocol that generic code uses.

/// The facts about a protocol. Generic code uses these facts. It contains no special case for a single protocol.
#[derive(Debug)]
pub struct Protocol {
    /// The name in URLs, on the command line and in JSON: `udp`.
    pub name: &'static str,
    /// The name in text for people: `UDP`.
    pub title: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// The server's port, if the target has none.
    pub default_port: u16,
    /// The maximum length of a request or a reply, in bytes.
    pub max_message_len: usize,
    /// Whether a request can be empty. UDP sends an empty datagram. TCP sends nothing for an empty write.
    pub carries_empty: bool,
    /// Whether the client opens a connection to the server before the first request.
    pub has_connections: bool,
    pub(crate) framing: Framing,
    /// The protocol number in the IP header (IANA "Protocol Numbers").
    pub(crate) ip_number: u8,
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Protocol {}

/// How replies arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each reply is one datagram. Replies can arrive in any order.
    Datagrams,
    /// Replies arrive in order, as a stream of bytes. One read can return a part of a reply or several replies.
    Stream,
}
