//! Version 2 of the timing header. In addition to the processing time, a reply reports the server's counts of the
//! requests of one flow. A client compares these counts with its own and finds out where requests were lost.
//!
//! `docs/protocol.md` specifies the bytes. The number of the request follows the header and belongs to it, so that the
//! server recognises a request that the network has duplicated.
//!
//! ```
//! use echo_core::header::version2::{
//!     self, ClockState, FlowCounts, HEADER_LEN, MIN_LEN, ReplyHeader, Report, RequestHeader, Requested,
//! };
//! use echo_core::header::{ArrivalClock, Timing};
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//!
//! // The client sends request number 7. It has 128 bytes, and it requests the counts only.
//! let (requested, run) = (Requested::Counts, 0xC0FFEE);
//! let mut message = version2::request_header(MIN_LEN, requested, run).to_vec();
//! message.extend_from_slice(b"0000000007");
//! let request = RequestHeader { length: MIN_LEN, requested, run, number: 7 };
//! assert_eq!(version2::parse_request(&message), Some(request));
//!
//! // The server replaces the header before it sends the reply.
//! let report = Report {
//!     timing: Timing { arrival: ArrivalClock::Program, server: Duration::from_micros(3) },
//!     arrival: Duration::from_secs(1_700_000_000),
//!     clock: ClockState::Synchronised { max_error: Duration::from_micros(800) },
//!     flow: Some(FlowCounts { id: NonZeroU32::MIN, received: 7, sent: 6, ..FlowCounts::default() }),
//!     limit_delay: Duration::ZERO,
//! };
//! message[..HEADER_LEN].copy_from_slice(&version2::reply_header(MIN_LEN, &report));
//!
//! // The client reads the report.
//! let reply_header = message.first_chunk().unwrap();
//! assert_eq!(version2::parse_reply_header(reply_header, MIN_LEN), ReplyHeader::Report(report));
//! ```

use super::{ArrivalClock, MAX_TIMED_LEN, Timing, hex, parse_digits, write_digits};
use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

/// Length of the header in bytes, in a request and in a reply. The number of the request follows.
pub const HEADER_LEN: usize = 118;

/// Length of the number of the request, in bytes.
pub const NUMBER_LEN: usize = 10;

/// Minimum length in bytes of a message that begins with a header: the header and the number of the request.
pub const MIN_LEN: usize = HEADER_LEN + NUMBER_LEN;

const REQUEST_MAGIC: &[u8; 11] = b"echo-rtt/2?";
const REPLY_MAGIC: &[u8; 11] = b"ECHO-RTT/2!";
/// The first bytes of the reply if the server does not support version 2.
const UPPERCASED_REQUEST_MAGIC: &[u8; 11] = b"ECHO-RTT/2?";

/// The positions of the fields. A space separates the groups of fields.
const LENGTH: Range<usize> = 11..19;
const REQUESTED: usize = 20;
const CLOCK: usize = 20;
const ARRIVAL: Range<usize> = 21..37;
const SERVER: Range<usize> = 37..49;
const CLOCK_STATE: usize = 49;
const CLOCK_ERROR: Range<usize> = 50..56;
const ACCURACY: usize = 56;
const FLOW: Range<usize> = 57..65;
const RECEIVED: Range<usize> = 65..73;
const SENT: Range<usize> = 73..81;
const REFUSED_RATE: Range<usize> = 81..89;
const REFUSED_LIST: Range<usize> = 89..97;
const QUEUE_DROPS: Range<usize> = 97..105;
const LIMIT_DELAY: Range<usize> = 105..117;

/// A field with this byte in each position has no value.
const NOT_KNOWN: u8 = b'-';

/// The largest number in a field of 12 hexadecimal digits.
const MAX_12_DIGITS: u64 = (1 << 48) - 1;
/// The largest number in a field of 6 hexadecimal digits.
const MAX_6_DIGITS: u64 = (1 << 24) - 1;

/// The information that the server should report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// The counts. The server measures its processing time with its program's clock.
    Counts,
    /// The counts, and the processing time from the kernel's timestamp of the arrival. Such timestamps cost time for
    /// each packet.
    CountsAndTimestamps,
}

/// The header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// The length of the whole request in bytes, header included.
    pub length: usize,
    /// The information that the server should report.
    pub requested: Requested,
    /// A random number that the client chooses for each run. If a later run uses the same port, the server starts the
    /// counts again.
    pub run: u32,
    /// The number of the request.
    pub number: u64,
}

/// The content of the header of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The processing time, and the clock that measured the arrival.
    pub timing: Timing,
    /// The arrival of the request by the server's wall clock: the time since 1970-01-01 UTC.
    pub arrival: Duration,
    /// The state of the server's wall clock.
    pub clock: ClockState,
    /// The counts of the flow. `None` if the server does not count this flow, because its table is full.
    pub flow: Option<FlowCounts>,
    /// The part of the processing time in which the request waited for the server's rate limit.
    pub limit_delay: Duration,
}

/// Whether a system reports that its wall clock is synchronised (adjtimex(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// The clock is synchronised.
    Synchronised {
        /// The maximum error that the system reports. The header contains it in microseconds.
        max_error: Duration,
    },
    /// The clock is not synchronised, or its state is not known.
    Unsynchronised,
}

/// The counts of a flow at the time of a reply. All counts start at 0 when the server creates the flow, and continue at
/// 0 after 2³² − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowCounts {
    /// A random number. It changes if the counts start again, for example after a restart of the server.
    pub id: NonZeroU32,
    /// Requests that the server received, this one included. A duplicate of a request does not count.
    pub received: u32,
    /// Replies that the server prepared, this one included. The server's system can refuse to send one of them.
    pub sent: u32,
    /// Requests that the server refused because the source exceeded its rate limit. If the server answers a duplicate
    /// of such a request later, the request does not count here any more.
    pub refused_rate: u32,
    /// Requests that the server refused for another reason, for example its list of ports.
    pub refused_list: u32,
    /// Datagrams that the kernel dropped, because the receive queue of the server's socket was full. All peers of the
    /// socket share this queue. `None` if the server's system does not report the number.
    pub queue_drops: Option<u32>,
    /// Whether `queue_drops` can contain datagrams of other peers, or datagrams with a wrong checksum.
    pub has_foreign_drops: bool,
    /// Whether some requests are not counted, because their numbers are too old to recognise duplicates.
    pub has_uncounted_requests: bool,
}

impl Default for FlowCounts {
    fn default() -> Self {
        Self {
            id: NonZeroU32::MIN,
            received: 0,
            sent: 0,
            refused_rate: 0,
            refused_list: 0,
            queue_drops: None,
            has_foreign_drops: false,
            has_uncounted_requests: false,
        }
    }
}

/// The kind of header at the beginning of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyHeader {
    /// A header with a report.
    Report(Report),
    /// The header of the request in upper case: the server does not support version 2.
    Plain,
    /// An invalid header, or other bytes.
    Malformed,
}

/// Builds the header of a request. `length` is the length of the whole request in bytes. `run` is a random number that
/// identifies the run of the client. The number of the request must follow the header: [`NUMBER_LEN`] decimal digits.
///
/// # Panics
///
/// If `length` is less than [`MIN_LEN`] or more than [`MAX_TIMED_LEN`].
#[must_use]
pub fn request_header(length: usize, requested: Requested, run: u32) -> [u8; HEADER_LEN] {
    assert!(
        (MIN_LEN..=MAX_TIMED_LEN).contains(&length),
        "a request with a header of version 2 has {MIN_LEN} to {MAX_TIMED_LEN} bytes, not {length}"
    );
    let mut header = [b'0'; HEADER_LEN];
    header[..11].copy_from_slice(REQUEST_MAGIC);
    write_digits(&mut header[LENGTH], length as u64);
    header[LENGTH.end] = b' ';
    header[REQUESTED] = match requested {
        Requested::Counts => b'0',
        Requested::CountsAndTimestamps => b'1',
    };
    header[ACCURACY] = b' ';
    hex::write(&mut header[FLOW], run.into());
    header[LIMIT_DELAY.end] = b' ';
    header
}

/// Parses the header and the number at the beginning of a request. Returns `None` if `text` does not begin with a
/// complete and valid header and a number.
#[must_use]
pub fn parse_request(text: &[u8]) -> Option<RequestHeader> {
    if !text.starts_with(REQUEST_MAGIC) {
        return None;
    }
    let header: &[u8; HEADER_LEN] = text.first_chunk()?;
    let length = usize::try_from(parse_digits(&header[LENGTH])?).ok()?;
    let requested = match header[REQUESTED] {
        b'0' => Requested::Counts,
        b'1' => Requested::CountsAndTimestamps,
        _ => return None,
    };
    let run = u32::try_from(hex::parse(&header[FLOW])?).ok()?;
    let number = parse_digits(text.get(HEADER_LEN..MIN_LEN)?)?;
    // The bytes that contain no field. This comparison takes less time than building the header again.
    let is_valid = (MIN_LEN..=MAX_TIMED_LEN).contains(&length)
        && [header[LENGTH.end], header[ACCURACY], header[LIMIT_DELAY.end]] == [b' '; 3]
        && header[REQUESTED + 1..ACCURACY] == [b'0'; ACCURACY - REQUESTED - 1]
        && header[FLOW.end..LIMIT_DELAY.end] == [b'0'; LIMIT_DELAY.end - FLOW.end];
    is_valid.then_some(RequestHeader { length, requested, run, number })
}

/// Whether `text` can be the beginning of a request with a header of version 2.
#[must_use]
pub(super) fn could_be_request(text: &[u8]) -> bool {
    let length = text.len().min(REQUEST_MAGIC.len());
    text[..length] == REQUEST_MAGIC[..length]
}

/// Builds the header of a reply. `length` is the length of the whole reply in bytes, header included.
#[must_use]
pub fn reply_header(length: usize, report: &Report) -> [u8; HEADER_LEN] {
    let mut header = [b' '; HEADER_LEN];
    header[..11].copy_from_slice(REPLY_MAGIC);
    write_digits(&mut header[LENGTH], length as u64);
    header[CLOCK] = match report.timing.arrival {
        ArrivalClock::Kernel => b'K',
        ArrivalClock::Program => b'P',
    };
    hex::write(&mut header[ARRIVAL], nanoseconds(report.arrival));
    hex::write(&mut header[SERVER], nanoseconds(report.timing.server).min(MAX_12_DIGITS));
    let (state, max_error) = match report.clock {
        ClockState::Synchronised { max_error } => {
            (b'S', u64::try_from(max_error.as_micros()).unwrap_or(u64::MAX))
        }
        ClockState::Unsynchronised => (b'U', 0),
    };
    header[CLOCK_STATE] = state;
    hex::write(&mut header[CLOCK_ERROR], max_error.min(MAX_6_DIGITS));
    let (id, counts) = match report.flow {
        Some(counts) => (counts.id.get(), counts),
        None => (0, FlowCounts { queue_drops: Some(0), ..FlowCounts::default() }),
    };
    header[ACCURACY] = match (counts.has_foreign_drops, counts.has_uncounted_requests) {
        (false, false) => b' ',
        (true, false) => b'D',
        (false, true) => b'R',
        (true, true) => b'B',
    };
    for (field, number) in [
        (FLOW, id),
        (RECEIVED, counts.received),
        (SENT, counts.sent),
        (REFUSED_RATE, counts.refused_rate),
        (REFUSED_LIST, counts.refused_list),
    ] {
        hex::write(&mut header[field], number.into());
    }
    match counts.queue_drops {
        Some(drops) => hex::write(&mut header[QUEUE_DROPS], drops.into()),
        None => header[QUEUE_DROPS].fill(NOT_KNOWN),
    }
    hex::write(&mut header[LIMIT_DELAY], nanoseconds(report.limit_delay).min(MAX_12_DIGITS));
    header
}

/// Parses the header of a reply. `length` is the length of the whole reply in bytes, header included.
#[must_use]
pub fn parse_reply_header(header: &[u8; HEADER_LEN], length: usize) -> ReplyHeader {
    if header.starts_with(UPPERCASED_REQUEST_MAGIC) {
        return ReplyHeader::Plain;
    }
    match parse_report(header) {
        // The comparison also checks the bytes that contain no field.
        Some(report) if *header == reply_header(length, &report) => ReplyHeader::Report(report),
        _ => ReplyHeader::Malformed,
    }
}

fn parse_report(header: &[u8; HEADER_LEN]) -> Option<Report> {
    let nanoseconds = |field: Range<usize>| Some(Duration::from_nanos(hex::parse(&header[field])?));
    let count = |field: Range<usize>| u32::try_from(hex::parse(&header[field])?).ok();
    let arrival = match header[CLOCK] {
        b'K' => ArrivalClock::Kernel,
        b'P' => ArrivalClock::Program,
        _ => return None,
    };
    let clock = match header[CLOCK_STATE] {
        b'S' => {
            let max_error = Duration::from_micros(hex::parse(&header[CLOCK_ERROR])?);
            ClockState::Synchronised { max_error }
        }
        b'U' => ClockState::Unsynchronised,
        _ => return None,
    };
    let (has_foreign_drops, has_uncounted_requests) = match header[ACCURACY] {
        b' ' => (false, false),
        b'D' => (true, false),
        b'R' => (false, true),
        b'B' => (true, true),
        _ => return None,
    };
    let flow = match NonZeroU32::new(count(FLOW)?) {
        Some(id) => Some(FlowCounts {
            id,
            received: count(RECEIVED)?,
            sent: count(SENT)?,
            refused_rate: count(REFUSED_RATE)?,
            refused_list: count(REFUSED_LIST)?,
            queue_drops: match &header[QUEUE_DROPS] {
                [NOT_KNOWN, ..] => None,
                _ => Some(count(QUEUE_DROPS)?),
            },
            has_foreign_drops,
            has_uncounted_requests,
        }),
        None => None,
    };
    Some(Report {
        timing: Timing { arrival, server: nanoseconds(SERVER)? },
        arrival: nanoseconds(ARRIVAL)?,
        clock,
        flow,
        limit_delay: nanoseconds(LIMIT_DELAY)?,
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
