//! What arrived from one peer at once, and its replies.

use crate::packets::{Arrival, Packets, Reply, Text};
use crate::refusal::{self, Refusal};
use crate::{Config, Totals};
use echo_core::header::{self, HEADER_LEN};
use echo_service::{RateLimit, escaped_excerpt, should_log, should_log_batch};
use std::borrow::Cow;
use std::time::Instant;

/// The most that a datagram carries: 65,535 bytes less 8 of UDP header, and over IPv4 less 20 of IP header.
const LONGEST_REPLY_V4: usize = 65_507;
const LONGEST_REPLY_V6: usize = 65_527;

/// Who is answered, and how often.
pub(crate) struct Gate {
    pub(crate) config: Config,
    pub(crate) rate: RateLimit,
    /// The ports that this server has itself.
    pub(crate) own_ports: Vec<u16>,
}

/// Answers the piece `number` of those that have been received at the moment `now`, in place where that can
/// be, puts its replies to the others and counts what becomes of it. Returns whether it asked how long that
/// took.
pub(crate) fn answer(
    packets: &mut Packets,
    number: usize,
    now: Instant,
    gate: &Gate,
    replies: &mut Vec<Reply>,
    totals: &mut Totals,
) -> bool {
    let Some(arrival) = packets.arrival(number) else {
        totals.received += 1;
        totals.refused_address += 1;
        return false;
    };
    let datagrams = arrival.datagrams();
    totals.received += datagrams;
    let text = packets.text(number);
    let Some((hops, granted)) = granted(&arrival, text, now, gate, totals) else { return false };
    let within = usize::try_from(granted).unwrap_or(usize::MAX).saturating_mul(arrival.each);
    let text = &mut text[..arrival.length.min(within)];
    let whole = text.len();

    let reply = |text, each| Reply { to: number, text, each, hops };
    let asks = |datagram: &[u8]| header::timed_request_length(datagram) == Some(datagram.len());
    if datagrams > 1
        && text.is_ascii()
        && !gate.config.show_messages
        && !text.chunks(arrival.each).any(asks)
    {
        // No character lies across two datagrams: all of them at once, which takes a fifth of the time.
        echo_core::uppercase_slice(text);
        replies.push(reply(Text::InPlace(0..whole), arrival.each));
        return false;
    }

    let mut timed = false;
    // Those that did not stay in their place: where they were, and what they have become.
    let mut apart = Vec::new();
    let chunks = text.chunks_mut(arrival.each).enumerate();
    for (place, datagram) in chunks {
        if gate.config.show_messages {
            tracing::info!(peer = %arrival.peer, "{}", escaped_excerpt(datagram));
        }
        let asked = asks(datagram);
        timed |= asked;
        // The last thing before sending: what comes after it counts as the network's.
        let tell = |upper: &mut [u8]| {
            if asked {
                let told = header::reply_header(upper.len(), arrival.since.timing());
                upper[..HEADER_LEN].copy_from_slice(&told);
            }
        };
        match echo_core::uppercase_slice(datagram) {
            Cow::Borrowed(_) => tell(datagram),
            Cow::Owned(mut upper) => {
                tell(&mut upper);
                apart.push((place, upper));
            }
        }
    }
    if whole == 0 && gate.config.show_messages {
        tracing::info!(peer = %arrival.peer, "");
    }
    if apart.is_empty() {
        replies.push(reply(Text::InPlace(0..whole), arrival.each));
        return timed;
    }
    let longest = if arrival.peer.is_ipv4() { LONGEST_REPLY_V4 } else { LONGEST_REPLY_V6 };
    let mut apart = apart.into_iter().peekable();
    for (place, begin) in (0..whole).step_by(arrival.each).enumerate() {
        let end = whole.min(begin + arrival.each);
        let text = match apart.next_if(|(other, _)| *other == place) {
            Some((_, upper)) => Text::Apart(upper),
            None => Text::InPlace(begin..end),
        };
        if text.len() > longest {
            totals.too_long += 1;
            if should_log(totals.too_long) {
                let (length, reply, count) = (end - begin, text.len(), totals.too_long);
                tracing::warn!(peer = %arrival.peer, length, reply, count, "no answer: the reply exceeds a datagram");
            }
            continue;
        }
        let each = text.len().max(1);
        replies.push(reply(text, each));
    }
    timed
}

/// For how many hops a piece is answered, and how many of its datagrams; nothing, if none is. Counts the others.
fn granted(
    arrival: &Arrival,
    text: &[u8],
    now: Instant,
    gate: &Gate,
    totals: &mut Totals,
) -> Option<(Option<u8>, u64)> {
    let datagrams = arrival.datagrams();
    if !gate.config.allowed.allows(arrival.peer.ip()) {
        refuse(&mut totals.refused_network, datagrams, arrival, "its network is not allowed");
        return None;
    }
    let hops = refusal::by_sender(arrival, &gate.own_ports).and_then(|()| {
        let could_be_a_reply =
            text.is_empty() || text.chunks(arrival.each).any(echo_core::could_be_a_reply);
        refusal::hops(arrival, could_be_a_reply)
    });
    let hops = match hops {
        Ok(hops) => hops,
        Err(refusal) => {
            let (count, why) = match refusal {
                Refusal::Port => (&mut totals.refused_port, "its port is a service's"),
                Refusal::Address => (&mut totals.refused_address, "sent from or to many hosts"),
                Refusal::Loop => (&mut totals.refused_loop, "it went round between servers"),
            };
            refuse(count, datagrams, arrival, why);
            return None;
        }
    };
    let granted = gate.rate.take(arrival.peer.ip(), datagrams, now);
    if granted < datagrams {
        let beyond = datagrams - granted;
        refuse(&mut totals.refused_rate, beyond, arrival, "its source is beyond its rate");
    }
    (granted > 0).then_some((hops, granted))
}

/// Counts datagrams that are not answered, and logs some of them.
fn refuse(count: &mut u64, datagrams: u64, arrival: &Arrival, why: &str) {
    *count += datagrams;
    if should_log_batch(*count, datagrams) {
        tracing::warn!(peer = %arrival.peer, count, why, "not answered");
    }
}
