//! Sends the replies of one connection, stores the part that the kernel has not accepted yet, and measures whether the
//! peer takes its replies fast enough.

use crate::timeouts::{Tick, Timeout, Timeouts};
use crate::totals::Totals;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Write as _};

/// The output of one connection. The box keeps this type as small as a pointer, because most connections have no
/// backlog.
#[derive(Default)]
pub(crate) struct ReplyOutput(Option<Box<Backlog>>);

/// The replies that the peer has not taken yet. They are in the kernel's send queue and in `pending`.
#[derive(Default)]
struct Backlog {
    /// The part of a reply that did not fit into the kernel's send buffer. Empty if there is no such part.
    pending: Vec<u8>,
    /// Number of bytes of `pending` that the kernel has accepted.
    sent: usize,
    window: Option<Window>,
}

/// The time in which the server measures how much of the backlog the peer takes.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: Tick,
    /// The bytes of the backlog at the start.
    backlog: u64,
    /// The bytes of the replies after the start.
    added: u64,
}

/// The state of the backlog of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// The peer has taken all replies.
    Complete,
    /// The peer has enough time left to take its replies. `since` is the tick in which the current window started.
    /// Without a stall timeout, a new window starts in each tick in which the peer has taken at least one byte.
    InProgress { since: Tick },
    /// The peer has taken less than the minimum rate requires.
    TooSlow,
}

impl ReplyOutput {
    /// Whether the kernel has not accepted the whole reply yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending_bytes() > 0
    }

    /// Sends `reply`. The part that the kernel does not accept becomes the pending reply. The caller must complete the
    /// pending reply before it sends the next one.
    ///
    /// # Errors
    ///
    /// The error of the write. `WouldBlock` is not an error here.
    pub(crate) fn send(
        &mut self,
        mut stream: &TcpStream,
        reply: &[u8],
        totals: &mut Totals,
    ) -> io::Result<()> {
        if let Some(window) = self.0.as_mut().and_then(|backlog| backlog.window.as_mut()) {
            window.added += reply.len() as u64;
        }
        let mut sent = 0;
        while sent < reply.len() {
            match stream.write(&reply[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let backlog = self.0.get_or_insert_default();
                    backlog.pending = reply[sent..].to_vec();
                    backlog.sent = 0;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        totals.bytes_answered += sent as u64;
        Ok(())
    }

    /// Sends as much of the pending reply as the kernel accepts now. Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// The error of the write. `WouldBlock` is not an error here.
    pub(crate) fn send_pending(
        &mut self,
        mut stream: &TcpStream,
        totals: &mut Totals,
    ) -> io::Result<usize> {
        let mut sent = 0;
        let Some(backlog) = &mut self.0 else { return Ok(0) };
        while backlog.sent < backlog.pending.len() {
            match stream.write(&backlog.pending[backlog.sent..]) {
                Ok(length) => {
                    sent += length;
                    backlog.sent += length;
                    totals.bytes_answered += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sent),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        backlog.pending = Vec::new();
        backlog.sent = 0;
        if backlog.window.is_none() {
            self.0 = None;
        }
        Ok(sent)
    }

    /// Measures whether the peer takes its replies fast enough. `in_kernel` is the number of bytes in the kernel's send
    /// queue. The caller calls this function once in each tick, as long as the backlog is not empty.
    ///
    /// A window ends successfully when the peer has taken the bytes that the minimum rate requires
    /// ([`Timeouts::required_progress`]). Then the next window starts. The peer is too slow if the time of the stall
    /// timeout ends first.
    pub(crate) fn check_drain(&mut self, in_kernel: u64, now: Tick, timeouts: Timeouts) -> Drain {
        let bytes = in_kernel + self.pending_bytes();
        if bytes == 0 {
            self.0 = None;
            return Drain::Complete;
        }
        let window = &mut self.0.get_or_insert_default().window;
        match window {
            Some(window) if !window.is_successful(bytes, timeouts) => {
                let is_expired = timeouts.is_expired(Timeout::Stall, window.start, now);
                if is_expired { Drain::TooSlow } else { Drain::InProgress { since: window.start } }
            }
            _ => {
                *window = Some(Window { start: now, backlog: bytes, added: 0 });
                Drain::InProgress { since: now }
            }
        }
    }

    fn pending_bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |backlog| (backlog.pending.len() - backlog.sent) as u64)
    }
}

impl Window {
    /// Whether the peer has taken enough bytes since the start. `bytes` is the current backlog.
    fn is_successful(&self, bytes: u64, timeouts: Timeouts) -> bool {
        let taken = (self.backlog + self.added).saturating_sub(bytes);
        taken >= timeouts.required_progress(self.backlog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::limits::MIN_TRANSFER_RATE;
    use std::time::Duration;

    /// A stall timeout of ten ticks, with a tick of one second.
    fn timeouts() -> Timeouts {
        Timeouts::new(&Config { stall_timeout: Duration::from_secs(10), ..Config::default() })
    }

    const BACKLOG: u64 = 200_000;

    /// The first tick in which a peer is too slow that takes `rate` bytes per second of a backlog that the server fills
    /// again.
    fn first_slow_tick(rate: u64) -> Option<Tick> {
        let mut output = ReplyOutput::default();
        (0..1000).find(|tick| {
            if let Some(window) = output.0.as_mut().and_then(|backlog| backlog.window.as_mut()) {
                window.added += rate;
            }
            output.check_drain(BACKLOG, *tick, timeouts()) == Drain::TooSlow
        })
    }

    #[test]
    fn peer_below_the_minimum_rate_is_too_slow_and_a_peer_above_it_is_not() {
        assert_eq!(timeouts().tick_length(), Duration::from_secs(1));
        assert_eq!(first_slow_tick(0), Some(11));
        assert_eq!(first_slow_tick(10), Some(11));
        assert_eq!(first_slow_tick(MIN_TRANSFER_RATE / 2), Some(11));
        assert_eq!(first_slow_tick(MIN_TRANSFER_RATE), None);
        assert_eq!(first_slow_tick(100 * MIN_TRANSFER_RATE), None);
    }

    #[test]
    fn small_backlog_must_be_taken_completely() {
        let mut output = ReplyOutput::default();
        assert_eq!(output.check_drain(5, 0, timeouts()), Drain::InProgress { since: 0 });
        assert_eq!(output.check_drain(1, 5, timeouts()), Drain::InProgress { since: 0 });
        assert_eq!(output.check_drain(1, 11, timeouts()), Drain::TooSlow);
        assert_eq!(output.check_drain(0, 12, timeouts()), Drain::Complete);
        assert!(output.0.is_none(), "an idle connection needs no memory");
    }

    #[test]
    fn without_a_stall_timeout_each_byte_starts_a_new_window() {
        let timeouts =
            Timeouts::new(&Config { stall_timeout: Duration::ZERO, ..Config::default() });
        let mut output = ReplyOutput::default();
        for (backlog, tick, since) in [(5, 0, 0), (5, 9, 0), (4, 10, 10), (4, 1000, 10)] {
            let expected = Drain::InProgress { since };
            assert_eq!(output.check_drain(backlog, tick, timeouts), expected, "tick {tick}");
        }
    }
}
