//! The header of requests, and the report of the server in the header of a reply. `docs/protocol.md` specifies the bytes.

use super::{ExpectedForm, NUMBER_LEN, Numbering};
use crate::model::protocol::{Protocol, ReplyForm, Responder};
use echo_core::header::version2::{self, Report, Requested};
use echo_core::header::{self, MAX_TIMED_LEN, Timing};

/// The information that the server should report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderContent {
    /// None. Requests have no header.
    Nothing,
    /// The processing time. All servers of this project support this header.
    ProcessingTime,
    /// The counts of requests, to find out where requests are lost. If they do not fit, requests have no header.
    Counts,
    /// The counts, and the processing time with kernel timestamps. If they do not fit, the processing time alone.
    Timing,
}

impl HeaderContent {
    /// Limits the content to what replies of this form can contain. A kernel reports nothing, and a reply that is the
    /// unchanged request has no place for a report.
    pub(crate) fn for_replies(self, protocol: &Protocol, form: ExpectedForm) -> Self {
        match (protocol.responder, form) {
            (Responder::Kernel | Responder::KernelOfServer, _)
            | (_, ExpectedForm::Fixed(ReplyForm::Unchanged)) => Self::Nothing,
            (Responder::Program(_), _) => self,
        }
    }
}

/// The information that a server reported in the header of its reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ServerReport {
    /// Nothing: the request has no header, or the server does not support it.
    #[default]
    None,
    /// The processing time.
    Version1(Timing),
    /// The processing time and the counts.
    Version2(Report),
}

impl ServerReport {
    /// The processing time.
    pub(crate) fn timing(self) -> Option<Timing> {
        match self {
            Self::None => None,
            Self::Version1(timing) => Some(timing),
            Self::Version2(report) => Some(report.timing),
        }
    }

    /// The whole report of version 2.
    pub(crate) fn version2(self) -> Option<Report> {
        match self {
            Self::Version2(report) => Some(report),
            Self::None | Self::Version1(_) => None,
        }
    }
}

/// The header at the beginning of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestHeader {
    Absent,
    Version1,
    Version2(Requested),
}

/// The beginning of a reply to a request with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyStart {
    /// The bytes end inside the header.
    Incomplete,
    /// The reply has no header: the request has none, or the server does not support it.
    Plain,
    Report(ServerReport),
    Malformed,
}

impl RequestHeader {
    /// The header of requests with `len` bytes after the header. The number of the request is among these bytes.
    pub(super) fn for_text(content: HeaderContent, numbering: Numbering, len: usize) -> Self {
        let is_numbered = numbering == Numbering::Numbered;
        let fits = |header: &Self| {
            (is_numbered || *header == Self::Version1) && header.len() + len <= MAX_TIMED_LEN
        };
        Self::candidates(content).find(fits).unwrap_or(Self::Absent)
    }

    /// The header of numbered requests of `size` bytes.
    pub(super) fn for_size(content: HeaderContent, size: usize) -> Self {
        let fits = |header: &Self| (header.len() + NUMBER_LEN..=MAX_TIMED_LEN).contains(&size);
        Self::candidates(content).find(fits).unwrap_or(Self::Absent)
    }

    /// The shortest header that can have this content.
    pub(super) fn shortest(content: HeaderContent) -> Self {
        match content {
            HeaderContent::ProcessingTime | HeaderContent::Timing => Self::Version1,
            HeaderContent::Counts | HeaderContent::Nothing => Self::Absent,
        }
    }

    /// The length in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Version1 => header::HEADER_LEN,
            Self::Version2(_) => version2::HEADER_LEN,
        }
    }

    /// Writes the header to the beginning of a request. `run` is the random number of the run.
    pub(super) fn write(self, request: &mut [u8], run: u32) {
        let len = request.len();
        match self {
            Self::Absent => {}
            Self::Version1 => {
                request[..self.len()].copy_from_slice(&header::request_header(len));
            }
            Self::Version2(requested) => {
                request[..self.len()]
                    .copy_from_slice(&version2::request_header(len, requested, run));
            }
        }
    }

    /// Parses the beginning of a reply to a request with this header. The whole reply has `reply_len` bytes.
    pub(super) fn parse_reply(self, received: &[u8], reply_len: usize) -> ReplyStart {
        match self {
            Self::Absent => ReplyStart::Plain,
            Self::Version1 => received.first_chunk().map_or(ReplyStart::Incomplete, |bytes| {
                match header::parse_reply_header(bytes, reply_len) {
                    header::ReplyHeader::Plain => ReplyStart::Plain,
                    header::ReplyHeader::Timed(timing) => {
                        ReplyStart::Report(ServerReport::Version1(timing))
                    }
                    header::ReplyHeader::Malformed => ReplyStart::Malformed,
                }
            }),
            Self::Version2(_) => received.first_chunk().map_or(ReplyStart::Incomplete, |bytes| {
                match version2::parse_reply_header(bytes, reply_len) {
                    version2::ReplyHeader::Plain => ReplyStart::Plain,
                    version2::ReplyHeader::Report(report) => {
                        ReplyStart::Report(ServerReport::Version2(report))
                    }
                    version2::ReplyHeader::Malformed => ReplyStart::Malformed,
                }
            }),
        }
    }

    /// The headers that can have this content, the best one first.
    fn candidates(content: HeaderContent) -> impl Iterator<Item = Self> {
        let candidates: &[Self] = match content {
            HeaderContent::Nothing => &[],
            HeaderContent::ProcessingTime => &[Self::Version1],
            HeaderContent::Counts => &[Self::Version2(Requested::Counts)],
            HeaderContent::Timing => {
                &[Self::Version2(Requested::CountsAndTimestamps), Self::Version1]
            }
        };
        candidates.iter().copied()
    }
}
