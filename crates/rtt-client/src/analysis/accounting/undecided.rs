//! [`Undecided`]: errors and wrong replies about requests in flight. They do not decide an outcome, because the correct
//! reply can still arrive.

use crate::model::condition::{Failure, Verification};
use crate::plan::payload::Mismatch;
use bytes::Bytes;
use echo_core::Stamp;
use std::collections::HashMap;

/// The maximum number of wrong replies whose text is stored. A text has at most
/// [`MAX_WRONG_REPLY_LEN`](super::received_reply::MAX_WRONG_REPLY_LEN) bytes, so all texts together have at most a megabyte.
const MAX_TEXTS: usize = 1024;

/// The observations about requests in flight. There is at most one entry for each request in flight, so their number is
/// bounded.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    requests: HashMap<u64, Observations>,
    texts: usize,
}

/// The observations about one request.
#[derive(Debug, Default)]
pub(super) struct Observations {
    pub(super) error: Option<(Failure, Verification)>,
    /// The first wrong reply.
    pub(super) wrong_reply: Option<WrongReply>,
}

/// A reply that is not the expected reply.
#[derive(Debug)]
pub(super) struct WrongReply {
    pub(super) received: Stamp,
    /// The beginning of the reply. Empty if too many texts are stored.
    pub(super) text: Bytes,
    pub(super) mismatch: Mismatch,
}

impl Undecided {
    /// Adds an error about request `seq`. A verified error replaces an error that is not verified.
    pub(super) fn add_error(&mut self, seq: u64, failure: Failure, verification: Verification) {
        let error = &mut self.requests.entry(seq).or_default().error;
        let is_better = |known: &(Failure, Verification)| {
            known.1 == Verification::Unverified && verification == Verification::Verified
        };
        if error.as_ref().is_none_or(is_better) {
            *error = Some((failure, verification));
        }
    }

    /// Adds a wrong reply to request `seq`. Returns false if there is an earlier one.
    pub(super) fn add_wrong_reply(&mut self, seq: u64, mut reply: WrongReply) -> bool {
        let stored = &mut self.requests.entry(seq).or_default().wrong_reply;
        if stored.is_some() {
            return false;
        }
        if self.texts == MAX_TEXTS {
            reply.text = Bytes::new();
        }
        self.texts += usize::from(!reply.text.is_empty());
        *stored = Some(reply);
        true
    }

    /// Removes and returns the observations about request `seq`, because its outcome is decided.
    pub(super) fn take(&mut self, seq: u64) -> Observations {
        // Most runs have no observations. Then there is nothing to look up.
        if self.requests.is_empty() {
            return Observations::default();
        }
        let observations = self.requests.remove(&seq).unwrap_or_default();
        let has_text = |reply: &WrongReply| !reply.text.is_empty();
        self.texts -= usize::from(observations.wrong_reply.as_ref().is_some_and(has_text));
        observations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::Condition;
    use std::time::Duration;

    fn wrong_reply() -> WrongReply {
        let text = Bytes::from_static(b"garbage");
        WrongReply { received: Stamp::just_after(), text, mismatch: Mismatch::WrongToken }
    }

    #[test]
    fn number_of_stored_texts_is_bounded() {
        let mut undecided = Undecided::default();
        let number = 2 * MAX_TEXTS as u64;
        for seq in 0..number {
            assert!(undecided.add_wrong_reply(seq, wrong_reply()));
            assert!(!undecided.add_wrong_reply(seq, wrong_reply()), "the first one is stored");
        }
        let mut texts = 0;
        for seq in 0..number {
            texts += usize::from(!undecided.take(seq).wrong_reply.unwrap().text.is_empty());
        }
        assert_eq!((texts, undecided.texts), (MAX_TEXTS, 0));
        assert!(undecided.add_wrong_reply(1, wrong_reply()));
        assert!(!undecided.take(1).wrong_reply.unwrap().text.is_empty());
    }

    #[test]
    fn verified_error_replaces_only_an_unverified_one() {
        let mut undecided = Undecided::default();
        let mut add = |condition, verification| {
            undecided.add_error(1, Failure::new(condition, Duration::ZERO), verification);
        };
        add(Condition::Refused, Verification::Unverified);
        add(Condition::Prohibited, Verification::Verified);
        add(Condition::NoRoute, Verification::Verified);
        add(Condition::Refused, Verification::Unverified);
        let (failure, verification) = undecided.take(1).error.unwrap();
        assert_eq!(failure.condition, Condition::Prohibited);
        assert_eq!(verification, Verification::Verified);
        assert!(undecided.take(1).error.is_none());
    }
}
