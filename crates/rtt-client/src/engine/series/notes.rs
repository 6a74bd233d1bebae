//! The notes of a summary: facts that a reader needs to interpret the figures of a series.

mod address_changes;

use crate::analysis::accounting::MAX_SENDS;
use crate::analysis::statistics::{HandshakeRetransmissions, Summary, WRONG_TOKEN_REASON};
use crate::model::address_resolution::AddressResolution;
use crate::model::format::{count, counted, duration};
use crate::net::limitation::Limitation;
use crate::plan::pacing::Pacing;
use crate::plan::payload::{MIN_TOKEN_BITS, TOKEN_BITS, TOKEN_LEN};
use echo_core::header::version2;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The note of a series that the user ended while no request was in flight.
pub(in crate::engine) const INTERRUPTED: &str = "Interrupted by a signal.";

/// The note about bytes that belong to no request.
const EXTRA_BYTES: &str = "More bytes arrived after the last reply, so an RTT can end with a part of an earlier reply. Define \
                           the replies with --reply-ends or --reply-bytes, and with --expect-prefix.";

/// The note about the replies of a plain echo server.
const PLAIN_ECHO: &str =
    "The server is a plain echo server (RFC 862): it returns the unchanged request.";

/// The note about datagrams without a number.
const MATCHED_IN_ORDER: &str = "The requests have no number, so the client matched replies to requests in order. After a lost \
                                request or a duplicate reply, an RTT can belong to another request.";

/// The facts about a series that cause notes, in addition to its summary.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each field is an independent observation")]
pub(super) struct SeriesEnd {
    /// Whether the user ended the series before it was complete.
    pub(super) interrupted: bool,
    /// The number of requests that were in flight when the user interrupted the series.
    pub(super) in_flight: usize,
    /// Whether the series sent fewer requests than planned, because errors arrived before the first reply.
    pub(super) ended_early: bool,
    /// Whether bytes arrived after the last reply on a connection with several requests.
    pub(super) has_extra_bytes: bool,
    /// The number of replies after which the server closes a connection.
    pub(super) reply_limit: Option<u64>,
    /// Whether the plan requests a breakdown that this system does not support.
    pub(super) breakdown_unavailable: bool,
    /// The parts of the measurement that are missing or different.
    pub(super) limitations: Vec<Limitation>,
    /// The protocol's explanation of a regular pattern of missing replies.
    pub(super) missing_replies: Option<String>,
    /// Whether the server reported its counts.
    pub(super) server_counts: ServerCounts,
    /// Whether the replies showed that the server returns each request unchanged.
    pub(super) is_plain_echo: bool,
    /// The advice if the server is another service.
    pub(super) other_service: Option<String>,
    /// Whether this advice contains the first line of a wrong reply.
    pub(super) shows_wrong_reply: bool,
    /// Whether replies have no number, so that the client matched them to requests in order.
    pub(super) is_matched_in_order: bool,
    /// The time between two exchanges, if each exchange is a handshake.
    pub(super) handshake_pacing: Option<Pacing>,
    /// The token of each request. Absent without a token.
    pub(super) token: Option<Token>,
    /// The addresses whose replies the client did not use, with the number of replies.
    pub(super) replies_from_others: BTreeMap<SocketAddr, u64>,
}

/// The token of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// The number of its bits.
    pub(super) bits: u32,
    /// Whether the request also contains a message of the user.
    pub(super) has_message: bool,
}

/// Whether the server reported its counts of requests. They are the evidence for the places of losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerCounts {
    /// The protocol has no place for the counts, or the run does not need them.
    NotApplicable,
    Reported,
    NotReported,
    /// The requests are too short for the header that requests the counts.
    NoSpace,
    /// The requests contain the message of the user, and do not request the counts.
    Message,
}

/// The notes of a series. Each note is one or more complete sentences.
pub(super) fn notes(
    end: SeriesEnd,
    summary: &Summary,
    address_resolution: Option<AddressResolution>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if end.breakdown_unavailable {
        notes.push("No breakdown: kernel timestamps are not available on this system.".to_owned());
    }
    notes.extend(end.limitations.iter().map(Limitation::to_string));
    if end.in_flight > 0 {
        let requests = counted(end.in_flight as u64, "request", "requests");
        let verb = if end.in_flight == 1 { "does" } else { "do" };
        notes.push(format!("Interrupted: {requests} in flight {verb} not count."));
    } else if end.interrupted {
        notes.push(INTERRUPTED.to_owned());
    }
    if end.ended_early {
        notes.push("Ended early: the system reported an error before the first reply.".to_owned());
    }
    notes.extend(end.other_service);
    let mut replies = summary.replies.clone();
    if end.shows_wrong_reply {
        replies.hide_wrong();
    }
    notes.extend(replies.notes(summary.sent, summary.received));
    if end.is_matched_in_order {
        notes.push(MATCHED_IN_ORDER.to_owned());
    }
    if end.is_plain_echo {
        notes.push(PLAIN_ECHO.to_owned());
    }
    if end.has_extra_bytes {
        notes.push(EXTRA_BYTES.to_owned());
    }
    if let Some(replies) = end.reply_limit {
        let replies = counted(replies, "reply", "replies");
        notes.push(format!("The server closes each connection after {replies}."));
    }
    if summary.lost_where.unexplained() > 0 && summary.received > 0 {
        notes.extend(unknown_places(end.server_counts));
    }
    notes.extend(end.missing_replies);
    notes.extend(end.replies_from_others.iter().map(|(from, number)| {
        let replies = counted(*number, "reply", "replies");
        format!("{replies} came from {from} instead of the target. The client did not use them.")
    }));
    notes.extend(forged_messages(summary));
    notes.extend(end.token.and_then(short_token));
    let median = summary.rtt.median().filter(|_| summary.rtt.count() > 1);
    notes.extend(address_resolution.map(|resolution| resolution.describe(median)));
    if let Some(note) = handshake_retransmissions(summary) {
        notes.push(match end.handshake_pacing {
            Some(pacing) => format!("{note} {}", full_queue(pacing)),
            None => note,
        });
    }
    notes.extend(limit_delays(summary));
    notes.extend(address_changes::notes(&summary.address_changes));
    notes.extend(summary.replacements.first.iter().map(ToString::to_string));
    if summary.replacements.not_stored() > 0 {
        let number = counted(summary.replacements.not_stored(), "more time", "more times");
        notes.push(format!("The client opened a new channel {number}."));
    }
    if summary.resent > 0 {
        let requests = counted(summary.resent, "request", "requests");
        notes.push(format!(
            "The client sent {requests} again on a new connection, because the old one had ended."
        ));
    }
    if summary.not_resent > 0 {
        let lost = counted(summary.not_resent, "request was", "requests were");
        notes.push(format!(
            "{lost} lost after {MAX_SENDS} sends, because each connection ended before the reply."
        ));
    }
    notes
}

/// The reason why the places of losses are not known.
fn unknown_places(counts: ServerCounts) -> Option<String> {
    let reason = match counts {
        ServerCounts::NotApplicable | ServerCounts::Reported => return None,
        ServerCounts::NotReported => "The server does not report how many requests it received.".to_owned(),
        ServerCounts::NoSpace => format!(
            "Requests of fewer than {} bytes have no space for the server's counts (option -s).",
            version2::MIN_LEN
        ),
        ServerCounts::Message => {
            "Requests with a message have no space for the server's counts (use -s instead of a message).".to_owned()
        }
    };
    Some(format!("{reason} Therefore the places of losses outside this host are not known."))
}

/// The replies and the ICMP errors that are false.
fn forged_messages(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if summary.wrong_token > 0 {
        notes.push(format!(
            "{} had a wrong token. {WRONG_TOKEN_REASON}",
            counted(summary.wrong_token, "reply", "replies")
        ));
    }
    if summary.refuted_errors > 0 {
        notes.push(format!(
            "{} had a correct reply although an ICMP error reported a failure. The client ignored the errors.",
            counted(summary.refuted_errors, "request", "requests")
        ));
    }
    notes
}

/// The requests have little or no space for a token.
fn short_token(Token { bits, has_message }: Token) -> Option<String> {
    if bits >= MIN_TOKEN_BITS {
        return None;
    }
    let remedy = if has_message {
        "A shorter message leaves space for the token.".to_owned()
    } else {
        format!(
            "Requests that are {TOKEN_LEN} bytes longer have space for the whole token (option -s)."
        )
    };
    Some(format!(
        "Each request has space for only {bits} of the {TOKEN_BITS} bits of its token. So the client cannot detect \
         every false reply or ICMP error. {remedy}"
    ))
}

/// The exchanges that waited for the server's rate limit.
fn limit_delays(summary: &Summary) -> Option<String> {
    let delays = &summary.limit_delays;
    let (median, max) = (delays.median()?, delays.max()?);
    Some(format!(
        "The server's rate limit (--rate) delayed {} of {}, by {} (median), at most {}. The RTTs contain this time.",
        count(delays.count()),
        counted(summary.received, "exchange", "exchanges"),
        duration(median),
        duration(max)
    ))
}

/// The costs below this are not shown, because they are less precise than this.
const MIN_COST: Duration = Duration::from_millis(1);

/// An interval after which most servers have accepted the previous connection, in milliseconds.
const ADVISED_INTERVAL_MS: u64 = 10;

/// A reason why a connection request has no answer, if each exchange is a handshake.
pub(in crate::engine) fn full_queue(pacing: Pacing) -> String {
    let advised = Duration::from_millis(ADVISED_INTERVAL_MS);
    let advised_rate = 1.0 / advised.as_secs_f64();
    let advice = match pacing {
        Pacing::AfterReply(interval) if interval < advised => {
            format!(" A longer interval prevents this (-i {ADVISED_INTERVAL_MS}ms).")
        }
        Pacing::FixedRate(rate) if rate > advised_rate => {
            format!(" A lower rate prevents this (--rate {advised_rate}).")
        }
        Pacing::AfterReply(_) | Pacing::FixedRate(_) => String::new(),
    };
    format!(
        "A possible reason is a full queue of new connections: the client opens connections faster than the server accepts \
         them.{advice}"
    )
}

/// The packets that were sent again during handshakes, and the time that this cost.
fn handshake_retransmissions(summary: &Summary) -> Option<String> {
    let HandshakeRetransmissions { connections: affected @ 1.., segments, cost, without_cost } =
        summary.handshake_retransmissions
    else {
        return None;
    };
    let is_one = segments == 1;
    let sent_again = format!(
        "{} {} sent again",
        counted(segments, "segment", "segments"),
        if is_one { "was" } else { "were" }
    );
    let cost = if without_cost == 0 && cost >= MIN_COST {
        format!(", which cost about {}", duration(cost))
    } else {
        String::new()
    };
    // Without connections, each exchange is a handshake.
    let handshakes = if summary.connect.count() > 0 { &summary.connect } else { &summary.rtt };
    let total = handshakes.count();
    Some(match handshakes.max().filter(|_| total == 1) {
        Some(only) => format!("The handshake took {}: {sent_again}{cost}.", duration(only)),
        None => format!(
            "In {} of {} handshakes, {sent_again}{cost}{}.",
            count(affected),
            count(total),
            if cost.is_empty() { "" } else { " in total" }
        ),
    })
}

#[cfg(test)]
mod tests;
