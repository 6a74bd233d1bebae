//! Pairs the datagrams of a flow. Each request starts an exchange, and each reply belongs to one exchange.
//!
//! A request matches a reply if the reply has a correct form: the request in upper case, or the unchanged request
//! ([`ReplyForm`]). The first of these rules that applies determines the exchange of a reply:
//!
//! 1. The reply belongs to the newest matching request that has no reply.
//! 2. If all matching requests already have a reply, the new reply is a duplicate. It belongs to the newest
//!    matching request.
//! 3. If no request matches, the server is probably not an echo server. The reply belongs to the oldest
//!    request that has no reply.
//! 4. If no request matches and all requests have a reply, the new reply belongs to the latest exchange.

use super::Exchanges;
use crate::model::protocol::ReplyForm;
use echo_core::header::{self, version2};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The rules above apply to this number of newest requests. Older requests are ignored. The limit bounds the memory for
/// the contents of requests.
const MAX_CANDIDATES: usize = 1000;

/// The maximum number of payload bytes that are compared.
const COMPARED_BYTES: usize = 2048;

/// The requests of a flow, for the comparison with its replies.
///
/// A map contains the requests that match a reply. So the time for a reply does not depend on the number of requests.
#[derive(Debug)]
pub(crate) struct DatagramPairing {
    reply_forms: &'static [ReplyForm],
    /// The newest requests. The newest one is the last one.
    candidates: VecDeque<Candidate>,
    /// The candidates with each correct reply.
    by_reply: HashMap<Arc<ReplyKey>, Matching>,
    /// The numbers of the candidates without a reply.
    open: BTreeSet<u64>,
}

/// A request that a later reply can match.
#[derive(Debug)]
struct Candidate {
    /// The number of the exchange.
    number: u64,
    /// The correct replies. They differ from each other.
    expected: Vec<Arc<ReplyKey>>,
}

/// The part of a reply that is compared, up to [`COMPARED_BYTES`].
#[derive(Debug, PartialEq, Eq, Hash)]
struct ReplyKey {
    /// The length of the timing header at the beginning, in bytes. The comparison skips it, because a server program
    /// writes its processing time into this header.
    header_len: usize,
    /// The bytes after the timing header.
    content: Box<[u8]>,
}

/// The candidates with the same correct reply.
#[derive(Debug, Default)]
struct Matching {
    /// The numbers of those without a reply.
    open: BTreeSet<u64>,
    newest: u64,
}

/// The exchange of a reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairedReply {
    pub(crate) exchange: Option<u64>,
    pub(crate) is_duplicate: bool,
}

impl DatagramPairing {
    /// `reply_forms` are the correct forms of replies.
    pub(crate) fn new(reply_forms: &'static [ReplyForm]) -> Self {
        Self {
            reply_forms,
            candidates: VecDeque::new(),
            by_reply: HashMap::new(),
            open: BTreeSet::new(),
        }
    }

    /// Starts the exchange of a request. Returns its number.
    pub(crate) fn add_request(
        &mut self,
        payload: &[u8],
        time: Duration,
        exchanges: &mut Exchanges,
    ) -> u64 {
        if self.candidates.len() == MAX_CANDIDATES {
            self.remove_oldest();
        }
        let number = exchanges.start(time);
        let mut expected: Vec<Arc<ReplyKey>> = Vec::with_capacity(self.reply_forms.len());
        for form in self.reply_forms {
            let key = ReplyKey::of_request(payload, *form);
            if expected.iter().any(|other| **other == key) {
                continue;
            }
            let key = Arc::new(key);
            let matching = self.by_reply.entry(Arc::clone(&key)).or_default();
            matching.open.insert(number);
            matching.newest = number;
            expected.push(key);
        }
        self.candidates.push_back(Candidate { number, expected });
        self.open.insert(number);
        number
    }

    /// Finds the exchange of a reply, and stores the time of the reply there.
    pub(crate) fn add_reply(
        &mut self,
        payload: &[u8],
        time: Duration,
        exchanges: &mut Exchanges,
    ) -> PairedReply {
        let keys = ReplyKey::of_reply(payload, self.reply_forms);
        let matching = || keys.iter().filter_map(|key| self.by_reply.get(key));
        let newest_open = matching().filter_map(|matching| matching.open.last()).max();
        if let Some(number) = newest_open.copied() {
            self.close(number);
            exchanges.record_reply(number, time);
            return PairedReply { exchange: Some(number), is_duplicate: false };
        }
        if let Some(number) = matching().map(|matching| matching.newest).max() {
            return PairedReply { exchange: Some(number), is_duplicate: true };
        }
        let oldest_open = self.open.first().copied();
        if let Some(number) = oldest_open {
            self.close(number);
            exchanges.record_reply(number, time);
        }
        PairedReply { exchange: oldest_open.or(exchanges.latest()), is_duplicate: false }
    }

    /// Marks a candidate as answered.
    fn close(&mut self, number: u64) {
        self.open.remove(&number);
        let first = self.candidates.front().map_or(0, |candidate| candidate.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        let Some(candidate) = index.and_then(|index| self.candidates.get(index)) else { return };
        for key in &candidate.expected {
            if let Some(matching) = self.by_reply.get_mut(key) {
                matching.open.remove(&number);
            }
        }
    }

    /// Removes the oldest candidate. The rules of this module no longer apply to it.
    fn remove_oldest(&mut self) {
        let Some(Candidate { number, expected }) = self.candidates.pop_front() else { return };
        self.open.remove(&number);
        for key in expected {
            if let Some(matching) = self.by_reply.get_mut(&key) {
                matching.open.remove(&number);
                if matching.newest == number {
                    self.by_reply.remove(&key);
                }
            }
        }
    }
}

impl ReplyKey {
    /// The key of the correct reply to `request`.
    fn of_request(request: &[u8], form: ReplyForm) -> Self {
        let expected = expected_reply(request, form);
        let header_len = match form {
            ReplyForm::UpperCase => timing_header_len(&expected),
            // The header of an unchanged reply is the header of the request.
            ReplyForm::Unchanged => 0,
        };
        Self { header_len, content: expected[header_len..].into() }
    }

    /// The possible keys of `reply`. The bytes of a reply do not show whether its request had a timing header.
    fn of_reply(reply: &[u8], forms: &[ReplyForm]) -> Vec<Self> {
        let reply = &reply[..reply.len().min(COMPARED_BYTES)];
        let header_lens = if forms.contains(&ReplyForm::UpperCase) {
            &[0, header::HEADER_LEN, version2::HEADER_LEN][..]
        } else {
            &[0]
        };
        let key = |header_len: &usize| {
            let content = reply.get(*header_len..)?.into();
            Some(Self { header_len: *header_len, content })
        };
        header_lens.iter().filter_map(key).collect()
    }
}

/// The beginning of the correct reply to `request`.
fn expected_reply(request: &[u8], form: ReplyForm) -> Vec<u8> {
    let mut expected = bytes::BytesMut::from(&request[..request.len().min(COMPARED_BYTES)]);
    if form == ReplyForm::UpperCase {
        echo_core::uppercase(&mut expected);
    }
    // Some characters have more bytes in upper case.
    expected.truncate(COMPARED_BYTES);
    expected.to_vec()
}

/// The length of the timing header at the beginning of the expected reply, if the comparison can skip it. Otherwise 0.
/// Other bytes must follow the header. Without them, nothing would be compared, and every reply of this length would
/// match.
fn timing_header_len(expected: &[u8]) -> usize {
    let is_version1 = expected.first_chunk().is_some_and(|header| {
        header::parse_reply_header(header, expected.len()) == header::ReplyHeader::Plain
    });
    let is_version2 = expected.first_chunk().is_some_and(|header| {
        version2::parse_reply_header(header, expected.len()) == version2::ReplyHeader::Plain
    });
    let len = match (is_version1, is_version2) {
        (true, _) => header::HEADER_LEN,
        (false, true) => version2::HEADER_LEN,
        (false, false) => 0,
    };
    if expected.len() > len { len } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The exchange of a reply to the requests `hello` and `again`. The second one already has its reply.
    fn exchange_of(reply: &[u8], form: ReplyForm) -> (Option<u64>, bool) {
        let forms = match form {
            ReplyForm::UpperCase => &[ReplyForm::UpperCase],
            ReplyForm::Unchanged => &[ReplyForm::Unchanged],
        };
        let mut pairing = DatagramPairing::new(forms);
        let mut exchanges = Exchanges::default();
        for request in [b"hello", b"again"] {
            pairing.add_request(request, Duration::ZERO, &mut exchanges);
        }
        let mut add_reply = |reply: &[u8]| pairing.add_reply(reply, Duration::ZERO, &mut exchanges);
        add_reply(&expected_reply(b"again", form));
        let PairedReply { exchange, is_duplicate } = add_reply(reply);
        (exchange, is_duplicate)
    }

    #[test]
    fn reply_form_determines_which_reply_matches() {
        for (form, matching, other) in
            [(ReplyForm::UpperCase, b"AGAIN", b"again"), (ReplyForm::Unchanged, b"again", b"AGAIN")]
        {
            assert_eq!(exchange_of(matching, form), (Some(2), true), "{form:?}");
            // Without a match, the oldest open request is used.
            assert_eq!(exchange_of(other, form), (Some(1), false), "{form:?}");
        }
    }

    #[test]
    fn old_requests_are_removed_from_every_table() {
        let mut pairing = DatagramPairing::new(&[ReplyForm::UpperCase]);
        let mut exchanges = Exchanges::default();
        for number in 0..3 * MAX_CANDIDATES {
            let payload = format!("request {}", number % (2 * MAX_CANDIDATES));
            pairing.add_request(payload.as_bytes(), Duration::ZERO, &mut exchanges);
        }
        assert_eq!(pairing.candidates.len(), MAX_CANDIDATES);
        assert_eq!((pairing.by_reply.len(), pairing.open.len()), (MAX_CANDIDATES, MAX_CANDIDATES));
        let open: usize = pairing.by_reply.values().map(|matching| matching.open.len()).sum();
        assert_eq!(open, MAX_CANDIDATES);
        // The request with this content was removed, so the oldest open request is used.
        let reply = pairing.add_reply(b"REQUEST 1500", Duration::ZERO, &mut exchanges);
        assert_eq!(reply.exchange, Some(2 * MAX_CANDIDATES as u64 + 1));
    }

    /// The exchange of a reply according to the rules of this module. `requests` contains each request in upper case, and
    /// whether it has a reply.
    fn expected_pairing(requests: &mut [(Vec<u8>, bool)], reply: &[u8]) -> (Option<u64>, bool) {
        let number = |index: usize| Some(index as u64 + 1);
        let matches = |(content, _): &&(Vec<u8>, bool)| content == reply;
        if let Some(index) = requests.iter().rposition(|request| matches(&request) && !request.1) {
            requests[index].1 = true;
            return (number(index), false);
        }
        if let Some(index) = requests.iter().rposition(|request| matches(&request)) {
            return (number(index), true);
        }
        if let Some(index) = requests.iter().position(|request| !request.1) {
            requests[index].1 = true;
            return (number(index), false);
        }
        (requests.len().checked_sub(1).and_then(number), false)
    }

    proptest! {
        #[test]
        fn pairing_follows_the_rules(
            packets in proptest::collection::vec((any::<bool>(), 0..4_u8, 0..3_usize), 0..60),
        ) {
            let mut pairing = DatagramPairing::new(&[ReplyForm::UpperCase]);
            let (mut exchanges, mut requests) = (Exchanges::default(), Vec::new());
            for (is_request, content, length) in packets {
                let payload = vec![b'a' + content; length];
                let upper_case = payload.to_ascii_uppercase();
                if is_request {
                    pairing.add_request(&payload, Duration::ZERO, &mut exchanges);
                    requests.push((upper_case, false));
                } else {
                    let reply = pairing.add_reply(&upper_case, Duration::ZERO, &mut exchanges);
                    let expected = expected_pairing(&mut requests, &upper_case);
                    prop_assert_eq!((reply.exchange, reply.is_duplicate), expected);
                }
            }
        }
    }
}
