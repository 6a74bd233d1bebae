//! Builds the replies to received datagrams.

use crate::Totals;
use crate::admission::{Admission, AdmissionPolicy};
use crate::datagram_io::{DatagramIo, Payload, ReceiveMeta, Reply};
use crate::flow_table::{FlowRequest, FlowTable, RefusalReason};
use crate::queue_monitor::{QueueMonitor, QueueState};
use echo_core::header::version2::{self, Report, RequestHeader};
use echo_core::header::{self, HEADER_LEN, Request};
use echo_core::{MAX_UDP_PAYLOAD_IPV4, MAX_UDP_PAYLOAD_IPV6};
use echo_service::{ClockMonitor, escaped_excerpt, should_log};
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

/// A received buffer, and the circumstances of its arrival.
#[derive(Clone, Copy)]
struct Arrived<'a> {
    meta: &'a ReceiveMeta,
    queue: QueueState,
    /// The time at which the worker processes the buffer.
    now: Instant,
}

impl Arrived<'_> {
    /// The request with this header, for the counts of its flow.
    fn request(&self, header: RequestHeader) -> FlowRequest {
        let Self { meta, queue, now } = *self;
        let RequestHeader { run, number, .. } = header;
        FlowRequest { peer: meta.peer, run, number, received_at: now, queue }
    }
}

/// The state that a worker changes when it answers datagrams.
pub(crate) struct WorkerData {
    /// The replies to send.
    pub(crate) replies: Vec<Reply>,
    pub(crate) totals: Totals,
    flows: FlowTable,
    clock: ClockMonitor,
    queue: QueueMonitor,
}

impl WorkerData {
    /// The data of a worker that starts at the time `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            replies: Vec::new(),
            totals: Totals::default(),
            flows: FlowTable::default(),
            clock: ClockMonitor::default(),
            queue: QueueMonitor::new(now),
        }
    }
}

impl Responder {
    /// Answers the datagrams in the received buffer number `request`. Appends the replies to the replies in `data`, and
    /// counts the received datagrams and those that it does not answer. A reply stays in the receive buffer
    /// where possible.
    ///
    /// Returns whether a datagram needs kernel timestamps.
    pub(crate) fn respond(
        &self,
        io: &mut DatagramIo,
        request: usize,
        now: Instant,
        data: &mut WorkerData,
    ) -> bool {
        let Some(meta) = io.meta(request) else {
            data.totals.received += 1;
            data.totals.refused_non_unicast += 1;
            return false;
        };
        data.totals.received += meta.datagrams();
        let queue = data.queue.arrived(&meta, now);
        let arrived = Arrived { meta: &meta, queue, now };
        let payload = io.payload(request);
        let (datagrams, hops) = match self.policy.admit(&meta, payload, now, &mut data.totals) {
            Admission::Admitted { datagrams, hops } => (datagrams, hops),
            Admission::Refused(reason) => {
                count_refused(&mut data.flows, arrived, payload, reason);
                return false;
            }
        };
        let datagrams = usize::try_from(datagrams).unwrap_or(usize::MAX);
        let length = meta.length.min(datagrams.saturating_mul(meta.segment_size));
        let (payload, refused) = payload.split_at_mut(length);
        let reply = |payload, segment_size| Reply { request, payload, segment_size, hops };

        // If all bytes are ASCII, no character extends over two datagrams. Then one conversion of the whole
        // buffer gives the same result in less time.
        let can_convert_together = meta.datagrams() > 1
            && payload.is_ascii()
            && !self.show_messages
            && !payload.chunks(meta.segment_size).any(|text| Request::of_datagram(text).is_some());
        if can_convert_together {
            echo_core::uppercase_slice(payload);
            data.replies.push(reply(Payload::InPlace(0..length), meta.segment_size));
            return false;
        }

        let (resized, needs_timestamps) = self.convert_each(arrived, payload, data);
        count_refused(&mut data.flows, arrived, refused, RefusalReason::Rate);
        if resized.is_empty() {
            data.replies.push(reply(Payload::InPlace(0..length), meta.segment_size));
            return needs_timestamps;
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
                count_too_long(&mut data.totals, &meta, end - start, payload.len());
                continue;
            }
            let segment_size = payload.len().max(1);
            data.replies.push(reply(payload, segment_size));
        }
        needs_timestamps
    }

    /// Converts each datagram in `payload`. Returns the replies that are longer or shorter than their
    /// requests, and whether a datagram needs kernel timestamps.
    fn convert_each(
        &self,
        arrived: Arrived<'_>,
        payload: &mut [u8],
        data: &mut WorkerData,
    ) -> (Vec<Resized>, bool) {
        let meta = arrived.meta;
        if payload.is_empty() && self.show_messages {
            tracing::info!(peer = %meta.peer, text = "", "request");
        }
        let mut needs_timestamps = false;
        let mut resized = Vec::new();
        for (position, datagram) in payload.chunks_mut(meta.segment_size).enumerate() {
            if self.show_messages {
                tracing::info!(peer = %meta.peer, text = escaped_excerpt(datagram), "request");
            }
            let header = Request::of_datagram(datagram);
            needs_timestamps |= header.is_some_and(|header| header.needs_timestamps());
            match echo_core::uppercase_slice(datagram) {
                Cow::Borrowed(_) => write_header(header, datagram, arrived, data),
                Cow::Owned(mut upper) => {
                    write_header(header, &mut upper, arrived, data);
                    resized.push(Resized { position, upper });
                }
            }
        }
        (resized, needs_timestamps)
    }
}

/// Replaces the header of the request, if there is one, by the header of the reply. The header is written last, because
/// the client attributes all later time to the network.
fn write_header(
    request: Option<Request>,
    reply: &mut [u8],
    arrived: Arrived<'_>,
    data: &mut WorkerData,
) {
    let arrival = arrived.meta.arrival;
    match request {
        None => {}
        Some(Request::Version1 { .. }) => {
            let header = header::reply_header(reply.len(), arrival.timing());
            reply[..HEADER_LEN].copy_from_slice(&header);
        }
        Some(Request::Version2(request)) => {
            let flow = data.flows.answered(arrived.request(request));
            let report = Report { flow, ..arrival.report(data.clock.state(arrived.now)) };
            let header = version2::reply_header(reply.len(), &report);
            reply[..version2::HEADER_LEN].copy_from_slice(&header);
        }
    }
}

/// Counts the refused datagrams in `payload` that have a header of version 2. A later reply to the same peer reports
/// this count.
fn count_refused(
    flows: &mut FlowTable,
    arrived: Arrived<'_>,
    payload: &[u8],
    reason: RefusalReason,
) {
    for datagram in payload.chunks(arrived.meta.segment_size) {
        if let Some(Request::Version2(header)) = Request::of_datagram(datagram) {
            flows.refused(arrived.request(header), reason);
        }
    }
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
