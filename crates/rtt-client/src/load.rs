//! What is sent, and what must come back: a message of the user's, or numbered text for a series.
//!
//! A request is, in this order: the timing header, where one is asked for; the request's number in
//! decimal digits, which upper-casing leaves alone, where there is a series; then text. Pure: bytes in,
//! judgement out.

use bytes::{Bytes, BytesMut};
use echo_core::header::{self, HEADER_LEN, MAX_TIMED_LEN, ReplyHeader, Timing};

/// How many digits a request's number has.
const NUMBER_LEN: usize = 10;

/// The largest number that they can tell.
pub(crate) const MOST_REQUESTS: u64 = 9_999_999_999;

/// Text that fills a request to its size. It is all letters and spaces, so that a server shows that
/// does not upper-case.
const FILLER: &[u8] = b"the quick brown fox jumps over the lazy dog ";

/// How much the headers of all replies have in common at their beginning.
const COMMON_TO_HEADERS: usize = 10;

/// The requests of a run, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    request: Vec<u8>,
    /// What a server that knows text alone makes of it.
    expected: Vec<u8>,
    /// How many bytes at the front are the header's, whether it asks for a timing or not.
    front: usize,
    timed: bool,
    numbered: bool,
}

/// What the bytes of a reply are, against what they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole reply and nothing else, with the server's timing if it gave one.
    Whole(Option<Timing>),
    /// A proper beginning of the reply.
    Begun,
    /// Something else; the text says what.
    Wrong(String),
}

impl Load {
    /// Requests that carry `text`. One that is too long for the timing header goes without.
    pub(crate) fn of_text(text: &[u8], numbered: bool, timed: bool) -> Self {
        let number = if numbered { NUMBER_LEN + 1 } else { 0 };
        let timed = timed && HEADER_LEN + number + text.len() <= MAX_TIMED_LEN;
        let front = if timed { HEADER_LEN } else { 0 };
        let mut request = vec![b' '; front + number];
        request.extend_from_slice(text);
        Self::new(request, front, numbered)
    }

    /// Numbered requests of `size` bytes, which is at least [`Load::shortest`].
    pub(crate) fn of_size(size: usize, timed: bool) -> Self {
        let timed = timed && size <= MAX_TIMED_LEN;
        let front = if timed { HEADER_LEN } else { 0 };
        let mut request = vec![b' '; front + NUMBER_LEN];
        let filler = size.saturating_sub(request.len());
        request.extend(FILLER.iter().cycle().take(filler));
        Self::new(request, front, true)
    }

    /// The shortest numbered request, in bytes.
    pub(crate) fn shortest(timed: bool) -> usize {
        NUMBER_LEN + if timed { HEADER_LEN } else { 0 }
    }

    fn new(mut request: Vec<u8>, front: usize, numbered: bool) -> Self {
        let timed = front > 0;
        if timed {
            let header = header::request_header(request.len());
            request[..front].copy_from_slice(&header);
        }
        let mut load = Self { request, expected: Vec::new(), front, timed, numbered };
        load.expect();
        load
    }

    /// The same requests, as long, that ask for no timing.
    pub(crate) fn untimed(&self) -> Self {
        let mut plain = self.clone();
        plain.timed = false;
        plain.request[..plain.front].fill(b'.');
        plain.expect();
        plain
    }

    fn expect(&mut self) {
        let mut expected = BytesMut::from(&self.request[..]);
        echo_core::uppercase(&mut expected);
        self.expected = expected.to_vec();
    }

    /// The request with that number.
    pub(crate) fn request(&mut self, seq: u64) -> &[u8] {
        if self.numbered {
            header::write_digits(&mut self.request[self.front..self.front + NUMBER_LEN], seq);
        }
        &self.request
    }

    pub(crate) fn request_len(&self) -> usize {
        self.request.len()
    }

    pub(crate) fn reply_len(&self) -> usize {
        self.expected.len()
    }

    /// The number that a reply bears, if it bears one.
    pub(crate) fn number_of(&self, reply: &[u8]) -> Option<u64> {
        let digits = reply.get(self.front..self.front + NUMBER_LEN)?;
        self.numbered.then(|| header::parse_digits(digits)).flatten()
    }

    /// The user's text in a reply: what stands behind the header and the number.
    pub(crate) fn text_of(&self, reply: &Bytes) -> Bytes {
        let number = if self.numbered { NUMBER_LEN + 1 } else { 0 };
        reply.slice((self.front + number).min(reply.len())..)
    }

    /// Judges what has `arrived` so far of the reply to request `seq`; the first `judged` bytes of it
    /// have been found in order before.
    pub(crate) fn judge(&mut self, seq: u64, arrived: &[u8], judged: usize) -> Verdict {
        if self.numbered {
            header::write_digits(&mut self.expected[self.front..self.front + NUMBER_LEN], seq);
        }
        let expected = &self.expected[..];
        let shorter = arrived.len().min(expected.len());
        let mut judged = judged.min(shorter);
        let mut until = shorter;
        let mut timing = None;
        if self.timed {
            match arrived.first_chunk().map(|told| header::parse_reply_header(told, expected.len()))
            {
                // The rest of the header is judged when it is whole.
                None => until = shorter.min(COMMON_TO_HEADERS),
                Some(ReplyHeader::Plain) => {}
                Some(ReplyHeader::Timed(told)) => {
                    timing = Some(told);
                    judged = judged.max(HEADER_LEN);
                }
                Some(ReplyHeader::Malformed) => {
                    return Verdict::Wrong("its timing header is malformed".into());
                }
            }
        }
        let judged = judged.min(until);
        let pairs = arrived[judged..until].iter().zip(&expected[judged..until]);
        let same = judged + pairs.take_while(|(a, b)| a == b).count();
        if same < until {
            Verdict::Wrong(format!("it differs from byte {} on", same + 1))
        } else if arrived.len() > expected.len() {
            let (more, length) = (arrived.len() - expected.len(), expected.len());
            Verdict::Wrong(format!("{more} bytes more than the reply's {length}"))
        } else if arrived.len() < expected.len() {
            Verdict::Begun
        } else {
            Verdict::Whole(timing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use echo_core::header::ArrivalClock;
    use std::time::Duration;

    fn wrong(verdict: Verdict) -> String {
        let Verdict::Wrong(why) = verdict else { panic!("{verdict:?}") };
        why
    }

    #[test]
    fn replies_are_judged_as_they_come() {
        let mut load = Load::of_text(b"hello", false, false);
        assert_eq!(load.request(1), b"hello");
        assert_eq!(load.judge(1, b"HELLO", 0), Verdict::Whole(None));
        assert_eq!(load.judge(1, b"HEL", 0), Verdict::Begun);
        assert_eq!(load.judge(1, b"", 0), Verdict::Begun);
        assert!(wrong(load.judge(1, b"Hello", 0)).contains("byte 2"));
        assert!(wrong(load.judge(1, b"HELLO!!", 0)).contains("2 bytes more"));
        // The second piece of a reply that came in two.
        assert_eq!(load.judge(1, b"HELLO", 3), Verdict::Whole(None));
        assert!(wrong(load.judge(1, b"HELlo", 3)).contains("byte 4"));
        assert_eq!(load.number_of(b"HELLO"), None);
    }

    #[test]
    fn a_number_survives_upper_casing() {
        for mut load in [Load::of_size(32, false), Load::of_text("straße".as_bytes(), true, false)]
        {
            let mut reply = BytesMut::from(load.request(4711));
            echo_core::uppercase(&mut reply);
            assert_eq!(load.number_of(&reply), Some(4711));
            assert_eq!(load.judge(4711, &reply, 0), Verdict::Whole(None));
            assert!(wrong(load.judge(4712, &reply, 0)).contains("byte 10"));
        }
        assert_eq!(Load::of_size(32, false).request_len(), 32);
        assert_eq!(Load::of_size(10, false).request(7), b"0000000007");
        assert_eq!(Load::of_size(32, false).number_of(b"GARBAGE THAT IS LONG ENOUGH"), None);
        assert_eq!(Load::of_size(32, false).number_of(b"000"), None);
    }

    #[test]
    fn timing_headers_are_read_and_their_absence_recognised() {
        let mut load = Load::of_size(64, true);
        let mut plain = BytesMut::from(load.request(7));
        echo_core::uppercase(&mut plain);
        assert_eq!(load.judge(7, &plain, 0), Verdict::Whole(None));
        assert_eq!(load.number_of(&plain), Some(7));

        let timing = Timing { arrival: ArrivalClock::Kernel, server: Duration::from_micros(3) };
        let mut timed = plain.clone();
        timed[..HEADER_LEN].copy_from_slice(&header::reply_header(64, timing));
        assert_eq!(load.judge(7, &timed, 0), Verdict::Whole(Some(timing)));
        for cut in 0..64 {
            assert_eq!(load.judge(7, &timed[..cut], 0), Verdict::Begun, "{cut}");
            assert_eq!(load.judge(7, &timed, cut), Verdict::Whole(Some(timing)), "{cut}");
        }
        timed[30] = b'x';
        assert!(wrong(load.judge(7, &timed, 0)).contains("malformed"));
        assert!(wrong(load.judge(7, b"HTTP/1.1", 0)).contains("byte 1"));
        // Without asking for a timing, the same length and number.
        let mut untimed = load.untimed();
        assert_eq!(untimed.request_len(), 64);
        let mut reply = BytesMut::from(untimed.request(9));
        echo_core::uppercase(&mut reply);
        assert_eq!(untimed.judge(9, &reply, 0), Verdict::Whole(None));
    }

    #[test]
    fn the_users_text_is_what_stands_behind_the_header() {
        let mut load = Load::of_text(b"hi", false, true);
        let reply = Bytes::copy_from_slice(load.request(1));
        assert_eq!(load.text_of(&reply), "hi");
        let mut load = Load::of_text(b"hi", true, true);
        let reply = Bytes::copy_from_slice(load.request(1));
        assert_eq!(load.text_of(&reply), "hi");
    }
}
