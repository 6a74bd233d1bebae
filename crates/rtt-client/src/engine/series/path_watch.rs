//! [`PathWatch`]: decides when a series tries another channel. Callers pass the time.
//!
//! A channel can stop working although the server answers, for example after an address change of this host, or if a
//! firewall has removed the state of a connection. The system does not report this. The only symptom is that requests
//! have no reply, or that this host cannot send them. The symptom only causes an attempt to open another channel. The
//! result of this attempt decides about a replacement (see [`super::replacement`]).

use crate::model::replacement::ReplacementReason;
use std::time::{Duration, Instant};

/// The number of requests in a row without a reply that causes an attempt. One lost request is usual on a path with
/// loss. Each further request without a reply is one more lost exchange on a dead channel.
const MIN_SILENT: u32 = 2;

/// If a new channel brings no reply either, the next attempt needs twice as many requests without a reply. This is the
/// limit.
const MAX_SILENT: u32 = 64;

/// The time between two attempts is the timeout, but at least this. With a shorter timeout, the attempts would be a
/// flood of connection requests.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// The time between two attempts if this host cannot send. Such an attempt sends no packet, and the system can configure
/// a new address at any time.
const PAUSE_IF_NOT_SENT: Duration = Duration::from_millis(20);

/// Whether an attempt to open a channel sends packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptCost {
    /// The client opens a connection.
    Packets,
    /// The client opens a socket without a connection.
    Local,
}

/// The state of the current channel, as far as the replies show it.
#[derive(Debug)]
pub(super) struct PathWatch {
    cost: AttemptCost,
    timeout: Duration,
    /// The highest number of a request with a reply.
    highest_answered: u64,
    /// The number of requests without a reply that were sent after the latest request with a reply.
    silent: u32,
    /// The value of `silent` that causes an attempt.
    threshold: u32,
    /// The time of the latest message.
    last_message: Option<Instant>,
    last_attempt: Option<Instant>,
}

impl PathWatch {
    pub(super) fn new(cost: AttemptCost, timeout: Duration) -> Self {
        Self {
            cost,
            timeout,
            highest_answered: 0,
            silent: 0,
            threshold: MIN_SILENT,
            last_message: None,
            last_attempt: None,
        }
    }

    /// A message of the server has arrived on the current channel at the time `at`, so the channel works.
    pub(super) fn message_received(&mut self, seq: Option<u64>, at: Instant) {
        self.highest_answered = self.highest_answered.max(seq.unwrap_or(0));
        self.silent = 0;
        self.threshold = MIN_SILENT;
        self.last_message = Some(at);
    }

    /// The timeout of request `seq` has expired. It counts only if no later request has a reply.
    pub(super) fn request_expired(&mut self, seq: u64) {
        if seq > self.highest_answered {
            self.silent = self.silent.saturating_add(1);
        }
    }

    /// The reason to try another channel, if enough requests in a row have no reply. If no request of the series has a
    /// reply, there is no reason to open another connection: the server probably does not answer there either. If a message
    /// has arrived within the timeout, the channel is slow, but it works. `now` reads the clock.
    pub(super) fn suspicion(&self, now: impl FnOnce() -> Instant) -> Option<ReplacementReason> {
        if self.silent < self.threshold {
            return None;
        }
        let is_suspect = match self.last_message {
            Some(last) => now().saturating_duration_since(last) >= self.timeout,
            None => self.cost == AttemptCost::Local,
        };
        is_suspect.then_some(ReplacementReason::NoReply(self.silent))
    }

    /// Starts an attempt. Returns false if the previous attempt started a short time ago.
    pub(super) fn start_attempt(&mut self, reason: ReplacementReason, now: Instant) -> bool {
        let pause = match reason {
            ReplacementReason::NotSent => PAUSE_IF_NOT_SENT,
            ReplacementReason::NoReply(_) => self.timeout.max(MIN_PAUSE),
        };
        let last = self.last_attempt;
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        if is_due {
            self.last_attempt = Some(now);
        }
        is_due
    }

    /// The channel was replaced.
    pub(super) fn replaced(&mut self) {
        self.silent = 0;
        self.threshold = (self.threshold * 2).min(MAX_SILENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn watch() -> PathWatch {
        PathWatch::new(AttemptCost::Packets, TIMEOUT)
    }

    /// The suspicion after the timeout of the latest message.
    fn suspicion(watch: &PathWatch) -> Option<ReplacementReason> {
        watch.suspicion(|| Instant::now() + TIMEOUT)
    }

    fn expire(watch: &mut PathWatch, numbers: impl IntoIterator<Item = u64>) {
        numbers.into_iter().for_each(|seq| watch.request_expired(seq));
    }

    #[test]
    fn requests_in_a_row_without_a_reply_are_suspect() {
        let mut watch = watch();
        watch.message_received(Some(1), Instant::now());
        expire(&mut watch, [2]);
        assert_eq!(suspicion(&watch), None);
        watch.message_received(Some(3), Instant::now());
        expire(&mut watch, [4]);
        assert_eq!(suspicion(&watch), None, "a reply has arrived between the two losses");
        expire(&mut watch, [5]);
        assert_eq!(suspicion(&watch), Some(ReplacementReason::NoReply(2)));
    }

    #[test]
    fn loss_before_an_answered_request_is_not_suspect() {
        let mut watch = watch();
        watch.message_received(Some(9), Instant::now());
        // At a fixed rate, the replies to later requests arrive before these timeouts expire.
        expire(&mut watch, 3..=8);
        assert_eq!(suspicion(&watch), None);
        expire(&mut watch, 10..=11);
        assert!(suspicion(&watch).is_some());
        watch.message_received(Some(4), Instant::now());
        assert_eq!(suspicion(&watch), None, "a late reply shows that the channel works");
    }

    #[test]
    fn slow_channel_that_still_delivers_replies_is_not_suspect() {
        let mut watch = watch();
        let start = Instant::now();
        watch.message_received(Some(1), start);
        expire(&mut watch, 2..=100);
        assert_eq!(watch.suspicion(|| start + TIMEOUT / 2), None);
        assert!(watch.suspicion(|| start + TIMEOUT).is_some());
    }

    #[test]
    fn server_that_never_replied_gets_no_further_connections() {
        let mut connection = watch();
        expire(&mut connection, 1..=100);
        assert_eq!(suspicion(&connection), None);
        let mut socket = PathWatch::new(AttemptCost::Local, TIMEOUT);
        expire(&mut socket, 1..=2);
        assert!(suspicion(&socket).is_some());
    }

    #[test]
    fn replacement_without_a_reply_doubles_the_number_of_silent_requests() {
        let mut watch = watch();
        watch.message_received(Some(1), Instant::now());
        let mut next = 2;
        let mut until_suspect = |watch: &mut PathWatch| {
            let mut requests = 0;
            while suspicion(watch).is_none() {
                watch.request_expired(next);
                next += 1;
                requests += 1;
            }
            requests
        };
        for expected in [2, 4, 8, 16, 32, 64, 64] {
            assert_eq!(until_suspect(&mut watch), expected);
            watch.replaced();
        }
        watch.message_received(Some(191), Instant::now());
        assert_eq!(until_suspect(&mut watch), MIN_SILENT);
    }

    #[test]
    fn attempts_have_a_limited_frequency() {
        let start = Instant::now();
        let no_reply = ReplacementReason::NoReply(2);
        for (reason, timeout, pause) in [
            (no_reply, TIMEOUT, TIMEOUT),
            (no_reply, Duration::from_millis(1), MIN_PAUSE),
            (ReplacementReason::NotSent, TIMEOUT, PAUSE_IF_NOT_SENT),
        ] {
            let mut watch = PathWatch::new(AttemptCost::Packets, timeout);
            assert!(watch.start_attempt(reason, start));
            assert!(!watch.start_attempt(reason, start + pause / 2));
            assert!(watch.start_attempt(reason, start + pause));
            assert!(!watch.start_attempt(reason, start + pause));
        }
    }
}
