//! [`Payload`]: the bytes of each request of a run, and the check of its replies.
//!
//! There are two kinds of requests:
//!
//! - requests to an echo server ([`EchoPayload`]). The reply is the request in upper case, or the unchanged request. Each
//!   request of a series contains a number and a token.
//! - requests to another service ([`ServicePayload`]): a predefined request, or the user's own request. A rule describes
//!   the correct reply.

mod echo;
mod permutation;
mod reply_check;
mod service;

#[cfg_attr(
    not(all(target_os = "linux", not(portable))),
    expect(unused_imports, reason = "only the Linux implementation reads quotations")
)]
pub(crate) use echo::MAX_VERIFIED_LEN;
pub(crate) use echo::{
    EchoPayload, ExpectedForm, HeaderContent, MAX_REQUESTS, MIN_TOKEN_BITS, Numbering,
    ServerReport, TOKEN_BITS, TOKEN_LEN,
};
pub(crate) use reply_check::{ExtraBytes, Mismatch, Quotation, ReplyCheck};
pub(crate) use service::ServicePayload;

use crate::model::format::counted;
use crate::model::protocol::ReplyForm;

/// The requests of a run. They differ only in their number, or in their identifier.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Echo(EchoPayload),
    Service(ServicePayload),
}

/// The rule that assigns replies to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matching {
    /// A reply contains the number of its request. A message of the user has no number, but only one is in flight.
    ByNumber,
    /// A reply belongs to the oldest request in flight.
    InOrder,
}

impl Payload {
    /// The same requests without a timing header, and with other tokens or identifiers. See
    /// [`EchoPayload::without_header`].
    pub(crate) fn without_header(&self) -> Self {
        match self {
            Self::Echo(echo) => Self::Echo(echo.without_header()),
            Self::Service(service) => Self::Service(service.with_other_identifiers()),
        }
    }

    /// Starts a run with new tokens or identifiers. `run` is the random number of the run.
    pub(crate) fn start_run(&mut self, run: u32) {
        match self {
            Self::Echo(echo) => echo.start_run(run),
            Self::Service(service) => *service = service.with_other_identifiers(),
        }
    }

    /// The requests to an echo server.
    pub(crate) fn echo(&self) -> Option<&EchoPayload> {
        match self {
            Self::Echo(echo) => Some(echo),
            Self::Service(_) => None,
        }
    }

    /// The requests to another service.
    pub(crate) fn service(&self) -> Option<&ServicePayload> {
        match self {
            Self::Echo(_) => None,
            Self::Service(service) => Some(service),
        }
    }

    /// Whether the header of the requests requests the server's counts.
    pub(crate) fn requests_counts(&self) -> bool {
        self.echo().is_some_and(EchoPayload::requests_counts)
    }

    /// See [`EchoPayload::needs_version1`].
    pub(crate) fn needs_version1(&self, seq: u64, report: ServerReport) -> bool {
        self.echo().is_some_and(|echo| echo.needs_version1(seq, report))
    }

    /// See [`EchoPayload::use_version1_from`].
    pub(crate) fn use_version1_from(&mut self, seq: u64) {
        if let Self::Echo(echo) = self {
            echo.use_version1_from(seq);
        }
    }

    /// The request with number `seq`.
    pub(crate) fn request(&mut self, seq: u64) -> &[u8] {
        match self {
            Self::Echo(echo) => echo.request(seq),
            Self::Service(service) => service.request(seq),
        }
    }

    /// The number of bits in the token of a request. Absent if the requests have no token.
    pub(crate) fn token_bits(&self) -> Option<u32> {
        self.echo().and_then(EchoPayload::token_bits)
    }

    /// Compares the bytes that an ICMP error quotes with request `seq`. `seq` is `None` if neither the error nor the bytes
    /// contain a number.
    pub(crate) fn check_quotation(&mut self, seq: Option<u64>, quoted: &[u8]) -> Quotation {
        match self {
            Self::Echo(echo) => echo.check_quotation(seq, quoted),
            Self::Service(service) => service.check_quotation(seq, quoted),
        }
    }

    /// The length of a request, in bytes.
    pub(crate) fn request_len(&self) -> usize {
        match self {
            Self::Echo(echo) => echo.request_len(),
            Self::Service(service) => service.request_len(),
        }
    }

    /// The length of a reply, in bytes. Absent if the requests do not determine it.
    pub(crate) fn reply_len(&self) -> Option<usize> {
        match self {
            Self::Echo(echo) => Some(echo.reply_len()),
            Self::Service(service) => service.reply_len(),
        }
    }

    /// The reason why an incomplete reply of `received` bytes is wrong if no bytes follow.
    pub(crate) fn mismatch_of_part(&self, received: usize) -> Mismatch {
        match self {
            Self::Echo(echo) => Mismatch::TooShort { received, expected: echo.reply_len() },
            Self::Service(service) => service.mismatch_of_part(received),
        }
    }

    /// Describes an incomplete reply: `3 of the reply's 81 bytes`.
    pub(crate) fn describe_part(&self, received: usize) -> String {
        match self.reply_len() {
            Some(len) => format!("{received} of the reply's {len} bytes"),
            None => format!("{} of the reply", counted(received as u64, "byte", "bytes")),
        }
    }

    /// The form of the replies of an echo server, if it is known.
    pub(crate) fn reply_form(&self) -> Option<ReplyForm> {
        self.echo().and_then(EchoPayload::reply_form)
    }

    /// Only echo replies of this form are correct from now on.
    pub(crate) fn expect_form(&mut self, form: ReplyForm) {
        if let Self::Echo(echo) = self {
            echo.expect_form(form);
        }
    }

    /// The rule that assigns replies to requests, if replies arrive as datagrams.
    pub(crate) fn matching(&self) -> Matching {
        match self {
            Self::Echo(_) => Matching::ByNumber,
            Self::Service(service) => service.matching(),
        }
    }

    /// The number in a reply. Absent without a number at the expected position.
    pub(crate) fn number_in_reply(&self, bytes: &[u8]) -> Option<u64> {
        match self {
            Self::Echo(echo) => echo.number_in(bytes),
            Self::Service(service) => service.number_in_reply(bytes),
        }
    }

    /// The number in the part of a request that an ICMP error quotes. Absent without a number at the expected position.
    pub(crate) fn number_in_request(&self, bytes: &[u8]) -> Option<u64> {
        match self {
            Self::Echo(echo) => echo.number_in(bytes),
            Self::Service(service) => service.number_in_request(bytes),
        }
    }

    /// Compares the bytes `received` so far with the reply to request `seq`. An earlier call has already compared the
    /// first `checked` bytes.
    pub(crate) fn check(
        &mut self,
        seq: u64,
        received: &[u8],
        checked: usize,
        extra: ExtraBytes,
    ) -> ReplyCheck {
        match self {
            Self::Echo(echo) => echo.check(seq, received, checked, extra),
            Self::Service(service) => service.check(seq, received, checked, extra),
        }
    }

    /// Whether a stream can have more bytes after a complete reply, because no rule determines its end.
    pub(crate) fn allows_bytes_after_reply(&self) -> bool {
        self.service()
            .is_some_and(|service| !service.has_reply_end() || service.server_sends_first())
    }

    /// Whether the connection must not be used after this reply.
    pub(crate) fn ends_connection(&self, reply: &[u8]) -> bool {
        self.service().is_some_and(|service| service.ends_connection(reply))
    }
}

impl From<EchoPayload> for Payload {
    fn from(echo: EchoPayload) -> Self {
        Self::Echo(echo)
    }
}
