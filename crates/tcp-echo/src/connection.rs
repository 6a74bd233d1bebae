//! One connection: what has been read of it, what its answer is, and what of that the system has not taken
//! yet.
//!
//! It is never waited for here: each step does what can be done now, and says what it needs next.

use crate::Config;
use crate::bounds::{Patience, Round};
use crate::timed::Timed;
use crate::totals::Totals;
use echo_core::header;
use echo_service::escaped_excerpt;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown};
use std::time::Instant;

/// Whether a read that is shorter than asked for says that there is no more, as with epoll (epoll(7)). Other
/// systems tell of new data only once a read has found none.
const SHORT_READ_IS_THE_LAST: bool = cfg!(all(target_os = "linux", not(portable)));

/// A connection. What is rare is boxed, because there are thousands of these that do nothing.
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) peer: IpAddr,
    dialogue: Dialogue,
    /// The end of a reply that the system has not taken yet.
    pending: Option<Box<Pending>>,
    /// In which round bytes have moved last, in whatever direction.
    moved: Round,
    phase: Phase,
    /// It waits for its source's rate, and is on the list of those that do.
    pub(crate) is_paused: bool,
    /// It is on the list of those that need another step.
    pub(crate) is_again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has been read yet.
    Fresh,
    /// What is read is answered.
    Open,
    /// All that will be answered has been read.
    Ended,
    /// All has been answered, and said so. What the peer still sends is read and thrown away, until it has seen
    /// that: closing before would reset the connection, and take from the peer what it has not read.
    Lingering,
}

enum Dialogue {
    /// Text, answered as it comes.
    Text(echo_core::UppercaseStream),
    /// Messages with a timing header, answered when they are whole.
    Timed(Box<Timed>),
}

struct Pending {
    text: Vec<u8>,
    taken: usize,
}

/// What a step needs to know.
pub(crate) struct Turn<'a> {
    pub(crate) round: Round,
    /// Where to read to: [`crate::bounds::PIECE`] bytes.
    pub(crate) scratch: &'a mut [u8],
    pub(crate) config: &'a Config,
    pub(crate) totals: &'a mut Totals,
    /// Nothing is waited for any more: where there is nothing to read, that is the end.
    pub(crate) is_ending: bool,
    /// How many requests have been answered: texts, as they came, or timed messages.
    pub(crate) requests: u64,
    /// There may be more than a short read shows: the peer's last, which is told of only once.
    pub(crate) is_thorough: bool,
}

impl Turn<'_> {
    /// Whether a read of this `length` says that there is no more for the moment.
    fn is_last(&self, length: usize) -> bool {
        SHORT_READ_IS_THE_LAST && length < self.scratch.len() && !self.is_thorough
    }
}

/// What a connection needs after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// To be told of something new to read, or room to write.
    Wait,
    /// Another step: there may be more to read.
    Step,
    /// Nothing: all has been answered, and told so to the peer.
    Close,
}

/// Why a connection has been let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Its peer has sent nothing for long.
    Idle,
    /// It does not take its replies, or does not finish its message.
    Stalled,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, peer: IpAddr, round: Round) -> Self {
        Self {
            stream,
            peer,
            dialogue: Dialogue::Text(echo_core::UppercaseStream::default()),
            pending: None,
            moved: round,
            phase: Phase::Fresh,
            is_paused: false,
            is_again: false,
        }
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether a reply waits for room; until it has found that, nothing is read.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether nothing is left to do but to wait for the peer.
    pub(crate) fn is_lingering(&self) -> bool {
        self.phase == Phase::Lingering
    }

    /// Whether there is something to answer.
    pub(crate) fn has_request(&self) -> bool {
        let is_whole = match &self.dialogue {
            Dialogue::Timed(timed) => timed.has_message(),
            Dialogue::Text(_) => false,
        };
        is_whole || self.stream.peek(&mut [0]).is_ok_and(|length| length > 0)
    }

    /// Writes what waits, or reads a piece and answers it.
    pub(crate) fn step(&mut self, turn: &mut Turn<'_>) -> io::Result<Next> {
        if self.is_lingering() {
            return Ok(self.linger(turn.scratch));
        }
        if self.is_pending() {
            let next = if self.flush(turn.round, turn.totals)? { Next::Step } else { Next::Wait };
            return Ok(next);
        }
        let next = if self.phase == Phase::Ended {
            Next::Step
        } else {
            match &self.dialogue {
                Dialogue::Text(_) => self.step_text(turn)?,
                Dialogue::Timed(_) => self.step_timed(turn)?,
            }
        };
        if self.phase != Phase::Ended || self.is_pending() {
            return Ok(next);
        }
        self.stream.shutdown(Shutdown::Write)?;
        // One that has been silent for some rounds has read all that there was.
        if turn.is_ending && turn.round - self.moved <= 1 {
            self.phase = Phase::Lingering;
            return Ok(Next::Step);
        }
        Ok(Next::Close)
    }

    /// Forgets the time for which it has been paused: that was the server's doing.
    pub(crate) fn resume(&mut self, round: Round) {
        self.is_paused = false;
        self.moved = round;
        if let Dialogue::Timed(timed) = &mut self.dialogue {
            timed.begun = timed.begun.map(|_| round);
        }
    }

    fn linger(&mut self, scratch: &mut [u8]) -> Next {
        match self.stream.read(scratch) {
            Ok(1..) => Next::Step,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Next::Wait,
            Err(error) if error.kind() == ErrorKind::Interrupted => Next::Step,
            // All has been answered: how it ends does not matter any more.
            Ok(0) | Err(_) => Next::Close,
        }
    }

    /// What keeps this connection from being kept any longer in this `round`, if anything does.
    pub(crate) fn overdue(&self, round: Round, patience: Patience) -> Option<Overdue> {
        if self.is_paused || self.is_lingering() {
            return None;
        }
        let begun = match &self.dialogue {
            Dialogue::Timed(timed) => timed.begun,
            Dialogue::Text(_) => None,
        };
        let waits_since = if self.is_pending() { Some(self.moved) } else { begun };
        let (since, limit, overdue) = match waits_since {
            Some(since) => (since, patience.stall, Overdue::Stalled),
            None => (self.moved, patience.idle, Overdue::Idle),
        };
        // The round in which it began had begun before.
        limit.is_some_and(|limit| round - since > limit).then_some(overdue)
    }

    fn step_text(&mut self, turn: &mut Turn<'_>) -> io::Result<Next> {
        let Dialogue::Text(upper) = &mut self.dialogue else { return Ok(Next::Step) };
        let length = match self.stream.read(turn.scratch) {
            Ok(0) => return self.end(turn),
            Ok(length) => length,
            Err(error) => return self.unread(error, turn),
        };
        self.moved = turn.round;
        turn.totals.bytes_received += length as u64;
        let is_last = turn.is_last(length);
        let piece = &mut turn.scratch[..length];
        if self.phase == Phase::Fresh {
            self.phase = Phase::Open;
            if header::timed_request_length(piece).is_some() {
                let timed = Timed::new(&self.stream, piece, Instant::now(), turn.round);
                self.dialogue = Dialogue::Timed(Box::new(timed));
                return self.step_timed(turn);
            }
        }
        if turn.config.show_messages {
            let peer = self.stream.peer_addr()?;
            tracing::info!(%peer, "{}", escaped_excerpt(piece));
        }
        turn.requests += 1;
        let reply = upper.push(piece);
        send(&self.stream, &mut self.pending, &reply, turn.totals)?;
        Ok(if is_last { Next::Wait } else { Next::Step })
    }

    fn step_timed(&mut self, turn: &mut Turn<'_>) -> io::Result<Next> {
        let Dialogue::Timed(timed) = &mut self.dialogue else { return Ok(Next::Step) };
        let mut is_last = false;
        if !timed.has_message() {
            match timed.read(&self.stream, turn.scratch, turn.round) {
                Ok(0) => return self.end(turn),
                Ok(length) => {
                    self.moved = turn.round;
                    turn.totals.bytes_received += length as u64;
                    is_last = turn.is_last(length);
                }
                Err(error) => return self.unread(error, turn),
            }
        }
        if let Some(reply) = timed.next_reply(&self.stream, turn.config, turn.round)? {
            turn.requests += 1;
            send(&self.stream, &mut self.pending, &reply, turn.totals)?;
        }
        Ok(if is_last && !timed.has_message() { Next::Wait } else { Next::Step })
    }

    /// What comes next when reading gave nothing.
    fn unread(&mut self, error: io::Error, turn: &mut Turn<'_>) -> io::Result<Next> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(Next::Step),
            ErrorKind::WouldBlock if turn.is_ending => self.end(turn),
            ErrorKind::WouldBlock => Ok(Next::Wait),
            _ => Err(error),
        }
    }

    /// Nothing more will be read: the beginning of a character that waited for its end is answered as it is.
    fn end(&mut self, turn: &mut Turn<'_>) -> io::Result<Next> {
        self.phase = Phase::Ended;
        if let Dialogue::Text(upper) = &mut self.dialogue {
            let begun = std::mem::take(upper).finish();
            send(&self.stream, &mut self.pending, &begun, turn.totals)?;
        }
        Ok(Next::Wait)
    }

    /// Writes what waits. Returns whether nothing does any more.
    pub(crate) fn flush(&mut self, round: Round, totals: &mut Totals) -> io::Result<bool> {
        while let Some(pending) = &mut self.pending {
            match (&self.stream).write(&pending.text[pending.taken..]) {
                Ok(taken) => {
                    self.moved = round;
                    pending.taken += taken;
                    totals.bytes_answered += taken as u64;
                    if pending.taken == pending.text.len() {
                        self.pending = None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Writes `reply` as far as the system takes it at once; the rest becomes pending.
fn send(
    mut stream: &TcpStream,
    pending: &mut Option<Box<Pending>>,
    reply: &[u8],
    totals: &mut Totals,
) -> io::Result<()> {
    let mut taken = 0;
    while taken < reply.len() {
        match stream.write(&reply[taken..]) {
            Ok(length) => taken += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                *pending = Some(Box::new(Pending { text: reply[taken..].to_vec(), taken: 0 }));
                break;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    totals.bytes_answered += taken as u64;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_takes_a_line_of_the_cache_at_most() {
        assert!(size_of::<Connection>() <= 64, "{}", size_of::<Connection>());
    }
}
