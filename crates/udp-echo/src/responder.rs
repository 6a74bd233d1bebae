//! Builds the replies to received datagrams.

use crate::Totals;
use crate::admission::AdmissionPolicy;
use crate::datagram_io::{DatagramIo, Payload, ReceiveMeta, Reply};
use echo_core::header::{self, HEADER_LEN};
use echo_core::{MAX_UDP_PAYLOAD_IPV4, MAX_UDP_PAYLOAD_IPV6};
use echo_service::{escaped_excerpt, should_log};
use std::borrow::Cow;
use std::time::Instant;

/// Builds replies. All workers share one responder.
pub(crate) struct Responder {
    pub(crate) policy: AdmissionPolicy,
    pub(crate) show_messages: bool,
}

/// A reply that is longer or shorter than its request. It has its own buffer.
struct Resized {
    /// Index of the request among the datagrams of its receive buffer.
    position: usize,
    upper: Vec<u8>,
}

impl Responder {
    /// Answers the datagrams in the received buffer number `request`. Appends the replies to `replies`, and
    /// counts the received datagrams and those that it does not answer. A reply stays in the receive buffer
    /// where possible.
    ///
    /// Returns whether a datagram requested timing.
    pub(crate) fn respond(
        &self,
        io: &mut DatagramIo,
        request: usize,
        now: Instant,
        replies: &mut Vec<Reply>,
        totals: &mut Totals,
    ) -> bool {
        let Some(meta) = io.meta(request) else {
            totals.received += 1;
            totals.refused_non_unicast += 1;
            return false;
        };
        totals.received += meta.datagrams();
        let payload = io.payload(request);
        let Some(admitted) = self.policy.admit(&meta, payload, now, totals) else { return false };
        let datagrams = usize::try_from(admitted.datagrams).unwrap_or(usize::MAX);
        let length = meta.length.min(datagrams.saturating_mul(meta.segment_size));
        let payload = &mut payload[..length];
        let reply =
            |payload, segment_size| Reply { request, payload, segment_size, hops: admitted.hops };

        // If all bytes are ASCII, no character extends over two datagrams. Then one conversion of the whole
        // buffer gives the same result in less time.
        let can_convert_together = meta.datagrams() > 1
            && payload.is_ascii()
            && !self.show_messages
            && !payload.chunks(meta.segment_size).any(requests_timing);
        if can_convert_together {
            echo_core::uppercase_slice(payload);
            replies.push(reply(Payload::InPlace(0..length), meta.segment_size));
            return false;
        }

        let (resized, is_timed) = self.convert_each(&meta, payload);
        if resized.is_empty() {
            replies.push(reply(Payload::InPlace(0..length), meta.segment_size));
            return is_timed;
        }
        let max_reply =
            if meta.peer.is_ipv4() { MAX_UDP_PAYLOAD_IPV4 } else { MAX_UDP_PAYLOAD_IPV6 };
        let mut resized = resized.into_iter().peekable();
        for (position, start) in (0..length).step_by(meta.segment_size).enumerate() {
            let end = length.min(start + meta.segment_size);
            let payload = match resized.next_if(|resized| resized.position == position) {
                Some(resized) => Payload::Owned(resized.upper),
                None => Payload::InPlace(start..end),
            };
            if payload.len() > max_reply {
                count_too_long(totals, &meta, end - start, payload.len());
                continue;
            }
            let segment_size = payload.len().max(1);
            replies.push(reply(payload, segment_size));
        }
        is_timed
    }

    /// Converts each datagram in `payload`. Returns the replies that are longer or shorter than their
    /// requests, and whether a datagram requested timing.
    fn convert_each(&self, meta: &ReceiveMeta, payload: &mut [u8]) -> (Vec<Resized>, bool) {
        if payload.is_empty() && self.show_messages {
            tracing::info!(peer = %meta.peer, text = "", "request");
        }
        let mut is_any_timed = false;
        let mut resized = Vec::new();
        for (position, datagram) in payload.chunks_mut(meta.segment_size).enumerate() {
            if self.show_messages {
                tracing::info!(peer = %meta.peer, text = escaped_excerpt(datagram), "request");
            }
            let is_timed = requests_timing(datagram);
            is_any_timed |= is_timed;
            // The header is written last, because the client attributes all later time to the network.
            let write_header = |upper: &mut [u8]| {
                if is_timed {
                    let header = header::reply_header(upper.len(), meta.arrival.timing());
                    upper[..HEADER_LEN].copy_from_slice(&header);
                }
            };
            match echo_core::uppercase_slice(datagram) {
                Cow::Borrowed(_) => write_header(datagram),
                Cow::Owned(mut upper) => {
                    write_header(&mut upper);
                    resized.push(Resized { position, upper });
                }
            }
        }
        (resized, is_any_timed)
    }
}

fn requests_timing(datagram: &[u8]) -> bool {
    header::timed_request_length(datagram) == Some(datagram.len())
}

/// Counts a request with a reply that does not fit in a datagram. Logs some of these requests.
fn count_too_long(totals: &mut Totals, meta: &ReceiveMeta, request_len: usize, reply_len: usize) {
    totals.reply_too_long += 1;
    let count = totals.reply_too_long;
    if should_log(count) {
        let peer = meta.peer;
        tracing::warn!(%peer, request_len, reply_len, count, "datagram not answered: the reply does not fit in a datagram");
    }
}
