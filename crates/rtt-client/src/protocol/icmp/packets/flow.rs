//! [`EchoFlow`]: finds the exchange of each echo message and of each ICMP error.
//!
//! A reply belongs to a request with the same sequence number. Usually there is one such request. There are several if
//! the sequence numbers restart at 0, or if a program uses a sequence number again. Then the reply belongs to the newest
//! request that has the same content and no correct reply yet. If no request has this content, the reply is
//! corrupt, and belongs to the newest request.

use super::super::facts::{HEADER_LEN, SEQUENCE};
use crate::capture::dissector::{Classification, FlowState, ObservedPacket, u16_at};
use crate::capture::exchanges::Exchanges;
use crate::capture::flow::FlowSide;
use crate::capture::role::{Detail, PacketRole};
use std::collections::{HashMap, VecDeque};

/// The number of requests that are stored for each sequence number, the newest ones. Replies to older requests are rare.
const REQUESTS_PER_SEQUENCE: usize = 4;

/// The maximum number of payload bytes that are compared.
const COMPARED_BYTES: usize = 2048;

/// The messages with one identifier.
#[derive(Debug, Default)]
pub(super) struct EchoFlow {
    /// The requests with each sequence number. The newest request is the last one.
    requests: HashMap<u16, VecDeque<Request>>,
}

#[derive(Debug)]
struct Request {
    /// The number of the exchange.
    exchange: u64,
    /// The beginning of the payload.
    payload: Vec<u8>,
    state: RequestState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestState {
    Unanswered,
    /// Only corrupt replies have arrived.
    HasCorruptReply,
    Answered,
}

impl FlowState for EchoFlow {
    fn add(&mut self, packet: &ObservedPacket<'_>, exchanges: &mut Exchanges) -> Classification {
        let ObservedPacket { sender, time, header, payload, .. } = *packet;
        let payload = &payload[..payload.len().min(COMPARED_BYTES)];
        let sequence = sequence_in(header);
        match sender {
            FlowSide::Client => {
                let exchange = exchanges.start(time);
                if let Some(sequence) = sequence {
                    self.add_request(sequence, exchange, payload);
                }
                Classification::new(PacketRole::Request, Some(exchange))
            }
            FlowSide::Server => {
                let requests = sequence.and_then(|sequence| self.requests.get_mut(&sequence));
                let Some(request) = requests.and_then(|requests| request_of(requests, payload))
                else {
                    return Classification::new(PacketRole::Reply, None);
                };
                let classification = Classification::new(PacketRole::Reply, Some(request.exchange));
                let is_correct = request.payload == payload;
                match (request.state, is_correct) {
                    (RequestState::Answered, true) => {
                        return classification.with_detail(Detail::DuplicateReply);
                    }
                    (RequestState::Answered | RequestState::HasCorruptReply, false) => {
                        return classification;
                    }
                    (RequestState::Unanswered, false) => {
                        request.state = RequestState::HasCorruptReply;
                    }
                    (_, true) => request.state = RequestState::Answered,
                }
                exchanges.record_reply(request.exchange, time);
                classification
            }
        }
    }

    /// The exchange of the quoted sequence number. `None` if the capture contains no request with this number.
    fn exchange_of_quote(&self, header: &[u8], exchanges: &Exchanges) -> Option<u64> {
        let Some(sequence) = sequence_in(header) else { return exchanges.latest() };
        let requests = self.requests.get(&sequence)?;
        // A quote can be shorter than the request. It can also be longer: then zeros follow (RFC 4884).
        let quote = header.get(HEADER_LEN..).unwrap_or_default();
        let is_quoted = |request: &&Request| request.payload.iter().zip(quote).all(|(a, b)| a == b);
        let quoted = requests.iter().rev().find(is_quoted).or(requests.back());
        quoted.map(|request| request.exchange)
    }
}

impl EchoFlow {
    fn add_request(&mut self, sequence: u16, exchange: u64, payload: &[u8]) {
        let requests = self.requests.entry(sequence).or_default();
        if requests.len() == REQUESTS_PER_SEQUENCE {
            requests.pop_front();
        }
        let state = RequestState::Unanswered;
        requests.push_back(Request { exchange, payload: payload.to_vec(), state });
    }
}

fn sequence_in(header: &[u8]) -> Option<u16> {
    u16_at(header, SEQUENCE.into())
}

/// The request of a reply with this payload. All `requests` have the sequence number of the reply.
fn request_of<'a>(requests: &'a mut VecDeque<Request>, payload: &[u8]) -> Option<&'a mut Request> {
    let newest = |is_possible: &dyn Fn(&Request) -> bool| requests.iter().rposition(is_possible);
    let is_equal = |request: &Request| request.payload == payload;
    let is_open = |request: &Request| request.state != RequestState::Answered;
    let index = newest(&|request| is_equal(request) && is_open(request))
        .or_else(|| newest(&is_equal))
        .or_else(|| newest(&|request| request.state == RequestState::Unanswered))
        .or_else(|| newest(&|_| true))?;
    requests.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Default)]
    struct Capture {
        flow: EchoFlow,
        exchanges: Exchanges,
        packets: u64,
    }

    impl Capture {
        /// Adds a packet. The time between two packets is one second.
        fn add(&mut self, sender: FlowSide, sequence: u8, payload: &[u8]) -> Classification {
            self.packets += 1;
            let header = [0, 0, 0, 0, 0x12, 0x34, 0, sequence];
            let packet = ObservedPacket {
                sender,
                time: Duration::from_secs(self.packets),
                header: &header,
                payload,
                payload_bytes: payload.len() as u64,
            };
            self.flow.add(&packet, &mut self.exchanges)
        }

        fn request(&mut self, sequence: u8, payload: &[u8]) {
            self.add(FlowSide::Client, sequence, payload);
        }

        /// The exchange of a reply, and whether the reply is a duplicate.
        fn reply(&mut self, sequence: u8, payload: &[u8]) -> (Option<u64>, bool) {
            let Classification { detail, exchange, .. } =
                self.add(FlowSide::Server, sequence, payload);
            (exchange, detail == Some(Detail::DuplicateReply))
        }

        /// The RTT of an exchange, in seconds.
        fn rtt(&self, exchange: u64) -> Option<u64> {
            Some(self.exchanges.get(exchange)?.rtt()?.as_secs())
        }
    }

    #[test]
    fn sequence_number_determines_the_exchange_of_a_reply() {
        let mut capture = Capture::default();
        (1..=3).for_each(|sequence| capture.request(sequence, b"the same text"));
        assert_eq!(capture.reply(1, b"the same text"), (Some(1), false));
        assert_eq!(capture.reply(3, b"the same text"), (Some(3), false));
        assert_eq!(capture.reply(3, b"the same text"), (Some(3), true));
        assert_eq!((capture.rtt(1), capture.rtt(2), capture.rtt(3)), (Some(3), None, Some(2)));
        assert_eq!(capture.reply(9, b"the same text"), (None, false));
    }

    #[test]
    fn corrupt_reply_belongs_to_the_request_with_its_sequence_number() {
        let mut capture = Capture::default();
        capture.request(1, b"first");
        capture.request(2, b"second");
        // The content is the content of another request.
        assert_eq!(capture.reply(2, b"first"), (Some(2), false));
        assert_eq!(capture.rtt(2), Some(1));
        // The correct reply follows, and then another one.
        assert_eq!(capture.reply(2, b"second"), (Some(2), false));
        assert_eq!(capture.reply(2, b"wrong"), (Some(2), false));
        assert_eq!(capture.reply(2, b"second"), (Some(2), true));
        assert_eq!((capture.rtt(1), capture.rtt(2)), (None, Some(2)));
    }

    #[test]
    fn content_selects_the_request_if_a_sequence_number_repeats() {
        let mut capture = Capture::default();
        for payload in [b"a", b"b", b"c"] {
            capture.request(1, payload);
        }
        assert_eq!(capture.reply(1, b"a"), (Some(1), false));
        assert_eq!(capture.reply(1, b"b"), (Some(2), false));
        assert_eq!(capture.reply(1, b"a"), (Some(1), true));
        assert_eq!(capture.reply(1, b"wrong"), (Some(3), false));
        for _ in 0..REQUESTS_PER_SEQUENCE {
            capture.request(1, b"d");
        }
        assert_eq!(capture.flow.requests[&1].len(), REQUESTS_PER_SEQUENCE);
    }

    #[test]
    fn icmp_error_belongs_to_the_request_that_it_quotes() {
        let mut capture = Capture::default();
        capture.request(1, b"a");
        capture.request(2, b"b");
        capture.request(1, b"c");
        let quote = |sequence: u8, payload: &[u8]| {
            let header = [8, 0, 0, 0, 0x12, 0x34, 0, sequence];
            capture.flow.exchange_of_quote(&[&header, payload].concat(), &capture.exchanges)
        };
        assert_eq!(quote(2, b""), Some(2));
        assert_eq!(quote(2, b"b\0\0"), Some(2));
        assert_eq!(quote(1, b"a"), Some(1));
        // Without content, the newest request with the sequence number is used.
        assert_eq!(quote(1, b""), Some(3));
        assert_eq!(quote(1, b"\0\0"), Some(3));
        assert_eq!(quote(9, b""), None);
        // The quote ends before the sequence number.
        assert_eq!(
            capture.flow.exchange_of_quote(&[8, 0, 0, 0, 0x12], &capture.exchanges),
            Some(3)
        );
    }
}
