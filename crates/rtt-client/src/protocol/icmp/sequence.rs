//! The sequence numbers of the requests of a socket (pure). A sequence number is the lower 16 bits of the request's
//! number, so the sequence numbers wrap.

/// The sequence number of the request with this number.
#[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
pub(super) fn sequence_of(number: u64) -> u16 {
    number as u16
}

/// The requests that a socket has sent. Their numbers increase.
#[derive(Debug, Default)]
pub(super) struct SentRequests {
    range: Option<NumberRange>,
}

#[derive(Debug, Clone, Copy)]
struct NumberRange {
    first: u64,
    last: u64,
}

impl SentRequests {
    /// Adds the next request.
    pub(super) fn add(&mut self, number: u64) {
        let first = self.range.map_or(number, |range| range.first);
        self.range = Some(NumberRange { first, last: number });
    }

    /// The number of the newest request with this sequence number. `None` if no such request was sent.
    pub(super) fn newest_with(&self, sequence: u16) -> Option<u64> {
        let NumberRange { first, last } = self.range?;
        let age = sequence_of(last).wrapping_sub(sequence);
        last.checked_sub(age.into()).filter(|number| *number >= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests with the numbers from `first` to `last`.
    fn sent(first: u64, last: u64) -> SentRequests {
        let mut sent = SentRequests::default();
        sent.add(first);
        sent.add(last);
        sent
    }

    #[test]
    fn sequence_number_of_a_sent_request_identifies_the_request() {
        let sent = sent(5, 9);
        for number in 5..=9 {
            assert_eq!(sent.newest_with(sequence_of(number)), Some(number));
        }
        for unsent in [0, 4, 10, 60_000, u16::MAX] {
            assert_eq!(sent.newest_with(unsent), None, "{unsent}");
        }
        assert_eq!(SentRequests::default().newest_with(0), None);
        assert_eq!(SentRequests::default().newest_with(1), None);
    }

    #[test]
    fn newest_request_is_used_after_the_sequence_numbers_wrap() {
        let sent = sent(1, 0x3_0002);
        assert_eq!(sent.newest_with(2), Some(0x3_0002));
        assert_eq!(sent.newest_with(0), Some(0x3_0000));
        assert_eq!(sent.newest_with(3), Some(0x2_0003));
        assert_eq!(sent.newest_with(u16::MAX), Some(0x2_ffff));
    }
}
