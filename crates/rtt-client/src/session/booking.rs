//! What becomes of what arrives: every reply, wrong answer and lost connection is booked to the request
//! that it belongs to.

use super::link::{Arrival, Arrived};
use super::series::{Series, Sink};
use super::{RunError, unanswered};
use crate::breakdown::{self, NoParts};
use crate::ledger::{InTheAir, Reply};
use crate::system::{LONGEST_PAUSE, Until};
use crate::transport::{Framing, failure_in, failure_of};
use crate::{Condition, Exchange, Failure, Origin, Outcome, SocketError};
use std::time::{Duration, Instant};
use std::{io, thread};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(100);

impl Series {
    /// Waits for something to arrive, and books it.
    pub(super) fn receive(&mut self, until: Until, sink: &mut dyn Sink) -> Result<(), RunError> {
        let only = self.ledger.only();
        let until = no_longer_than_a_pause(until);
        let Some(link) = &mut self.link else {
            thread::sleep(until.deadline().saturating_duration_since(Instant::now()));
            return Ok(());
        };
        match link.receive(until, &mut self.load, only) {
            Ok(Arrival::Nothing) => Ok(()),
            Ok(Arrival::Reply(arrived)) => self.reply(arrived, sink),
            Ok(Arrival::Wrong { arrived, why }) => self.wrong(arrived, why, sink),
            Ok(Arrival::End) => self.link_ended(Condition::Closed, sink),
            Err(error) => self.receive_failed(error, sink),
        }
    }

    fn receive_failed(&mut self, error: io::Error, sink: &mut dyn Sink) -> Result<(), RunError> {
        if self.plan.protocol.framing == Framing::Stream {
            let failure = self.failure(error)?;
            return self.link_ended(failure.condition, sink);
        }
        if self.book_notices(sink)? {
            return Ok(());
        }
        let failure = self.failure(error)?;
        // Nobody says which request it is about.
        let oldest = self.ledger.oldest();
        let Some(request) = oldest.and_then(|seq| self.ledger.lose(seq)) else { return Ok(()) };
        let failure = Failure { after: request.sent.monotonic().elapsed(), ..failure };
        self.after_error(&failure);
        self.decide(&request, unanswered(failure), sink)
    }

    /// Books what the network has said to the requests that it is about; returns whether there was anything.
    pub(super) fn book_notices(&mut self, sink: &mut dyn Sink) -> Result<bool, RunError> {
        let notices = self.link.as_mut().map(|link| link.transport.notices()).unwrap_or_default();
        for notice in &notices {
            // A router may quote too little for a number (RFC 792: 8 bytes behind IP's header).
            let number = self.load.number_of(&notice.about);
            let seq = number.or(self.ledger.only()).or(self.ledger.oldest());
            let Some(failure) = failure_in(notice, Duration::ZERO) else { continue };
            let Some(request) = seq.and_then(|seq| self.ledger.lose(seq)) else { continue };
            let failure = Failure { after: request.sent.monotonic().elapsed(), ..failure };
            self.after_error(&failure);
            self.decide(&request, unanswered(failure), sink)?;
        }
        Ok(!notices.is_empty())
    }

    /// What an error that came at once says about the peer or the way to it.
    pub(super) fn failure(&self, error: io::Error) -> Result<Failure, SocketError> {
        failure_of(error, Duration::ZERO).map_err(|error| SocketError {
            operation: "an exchange",
            protocol: self.plan.protocol.title,
            address: self.address,
            error,
        })
    }

    fn reply(&mut self, arrived: Arrived, sink: &mut dyn Sink) -> Result<(), RunError> {
        let Some(seq) = arrived.seq else {
            self.summary.strays += 1;
            return Ok(());
        };
        // It may have come after its time and before anybody looked at the clock.
        let timeout = self.plan.settings.timeout;
        let sent = self.ledger.find(seq).map(|request| request.sent);
        if let Some(after) = sent.map(|sent| arrived.received.since(&sent))
            && after > timeout
            && let Some(request) = self.ledger.lose(seq)
        {
            let failure = Failure::seen(Condition::Silent, after);
            self.decide(&request, Outcome::Lost(failure), sink)?;
        }
        let (request, out_of_order) = match self.ledger.answered(seq) {
            Reply::First { request, out_of_order } => (request, out_of_order),
            Reply::Late => {
                self.summary.late += 1;
                return Ok(());
            }
            Reply::Duplicate => {
                self.summary.duplicates += 1;
                return Ok(());
            }
            Reply::Stray => {
                self.summary.strays += 1;
                return Ok(());
            }
        };
        self.hopeless = false;
        self.summary.out_of_order += u64::from(out_of_order);
        let received = arrived.received;
        let mut parts = None;
        if self.plan.settings.breakdown {
            let transport = self.link.as_mut().map(|link| &mut link.transport);
            let transmitted = transport.and_then(|transport| transport.transmitted(request.marks));
            let (sent, timing) = (request.sent, arrived.timing);
            match breakdown::split(sent, transmitted, arrived.stamp, received, timing) {
                Ok(breakdown) => parts = Some(breakdown),
                Err(NoParts::ImpossibleServer) => {
                    let why = "the server's timing is longer than the round trip".to_owned();
                    return self.corrupt(&request, arrived, why, sink);
                }
                Err(NoParts::NotStamped | NoParts::ClockWasSet) => self.summary.unsplit += 1,
            }
        }
        let text = self.plan.has_a_message().then(|| self.load.text_of(&arrived.bytes));
        let mut exchange = self.exchange_of(&request, Outcome::Reply { received, text });
        exchange.breakdown = parts;
        self.book(exchange, sink)
    }

    fn wrong(
        &mut self,
        arrived: Arrived,
        why: String,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let seq = arrived.seq.filter(|seq| self.ledger.find(*seq).is_some());
        let answered = seq.map(|seq| self.ledger.answered(seq));
        match answered {
            Some(Reply::First { request, .. }) => self.corrupt(&request, arrived, why, sink)?,
            _ => self.summary.strays += 1,
        }
        if self.plan.protocol.framing == Framing::Stream {
            // Nobody can say where the next reply would begin.
            self.link_ended(Condition::WrongAnswer, sink)?;
        }
        Ok(())
    }

    fn corrupt(
        &mut self,
        request: &InTheAir,
        arrived: Arrived,
        why: String,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let Arrived { received, bytes: text, .. } = arrived;
        let failure = Failure {
            detail: Some(why),
            ..Failure::seen(Condition::WrongAnswer, received.since(&request.sent))
        };
        self.decide(request, Outcome::Corrupt { received, text, failure }, sink)
    }

    /// The link is of no more use. Requests that wait on it are sent again on another, if this one has
    /// served before and no reply had begun; else they came to nothing.
    pub(super) fn link_ended(
        &mut self,
        why: Condition,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let Some(link) = self.link.take() else { return Ok(()) };
        self.harvest(&link);
        let waiting: Vec<u64> =
            link.waiting.iter().copied().filter(|seq| self.ledger.find(*seq).is_some()).collect();
        let by_the_server = why != Condition::WrongAnswer;
        if why == Condition::Closed && link.replies > 0 {
            // Once may be chance; twice after the same number is a habit.
            if self.closed_after == Some(link.replies) {
                self.closes_after = self.closed_after;
            }
            self.closed_after = Some(link.replies);
        }
        if link.replies > 0 && !link.is_amid_a_reply() {
            return self.send_again(&waiting, sink);
        }
        let condition = if by_the_server { why } else { Condition::Closed };
        let (come, length) = (link.bytes_of_a_reply(), self.load.reply_len());
        for seq in waiting {
            let Some(request) = self.ledger.lose(seq) else { continue };
            let failure = Failure {
                detail: Some(format!("after {come} of the reply's {length} bytes")),
                origin: by_the_server.then_some(Origin::Peer),
                ..Failure::seen(condition, request.sent.monotonic().elapsed())
            };
            self.after_error(&failure);
            self.decide(&request, Outcome::Error(failure), sink)?;
        }
        Ok(())
    }

    fn send_again(&mut self, waiting: &[u64], sink: &mut dyn Sink) -> Result<(), RunError> {
        for seq in waiting {
            let opened = self.ready_link()?;
            let again = match (opened, &mut self.link) {
                (Ok(()), Some(link)) => match link.send(*seq, self.load.request(*seq)) {
                    Ok(again) => Ok(again),
                    Err(error) => Err(self.failure(error)?),
                },
                (Err(failure), _) => Err(failure),
                (Ok(()), None) => continue,
            };
            match again {
                Ok((_, marks)) => {
                    self.summary.sent_again += 1;
                    self.ledger.sent_again(*seq, marks);
                }
                Err(failure) => {
                    let Some(request) = self.ledger.lose(*seq) else { continue };
                    self.after_error(&failure);
                    self.decide(&request, unanswered(failure), sink)?;
                }
            }
        }
        Ok(())
    }

    fn exchange_of(&self, request: &InTheAir, outcome: Outcome) -> Exchange {
        let scheduled = !self.plan.pace.waits_for_replies();
        let lateness = request.sent.monotonic().saturating_duration_since(request.due);
        let first = self.link.as_ref().filter(|link| link.connection.is_some());
        Exchange {
            seq: request.seq,
            sent: Some(request.sent),
            lateness: scheduled.then_some(lateness),
            first_on_connection: first.map(|link| link.replies <= 1),
            outcome,
            breakdown: None,
        }
    }

    pub(super) fn decide(
        &mut self,
        request: &InTheAir,
        outcome: Outcome,
        sink: &mut dyn Sink,
    ) -> Result<(), RunError> {
        let exchange = self.exchange_of(request, outcome);
        self.book(exchange, sink)
    }

    /// Counts and tells the connections that have been made since the last time.
    pub(super) fn tell_connections(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        for connection in self.made.drain(..) {
            if let Some(handshake) = connection.handshake() {
                self.summary.connect.add(handshake);
            }
            sink.connection(connection)?;
        }
        Ok(())
    }

    fn book(&mut self, exchange: Exchange, sink: &mut dyn Sink) -> Result<(), RunError> {
        self.tell_connections(sink)?;
        self.summary.add(&exchange);
        let answered = exchange.rtt().is_some();
        sink.exchange(exchange)?;
        if let Some(twin) = &mut self.twin {
            // Nobody waits twice for a peer that does not answer.
            twin.is_next = answered;
        }
        let now = Instant::now();
        if now.saturating_duration_since(self.last_progress) >= PROGRESS {
            self.last_progress = now;
            sink.progress(&self.summary, self.begun)?;
        }
        Ok(())
    }
}

/// The same wait, but short enough for an interruption to be noticed.
fn no_longer_than_a_pause(until: Until) -> Until {
    let pause = Instant::now() + LONGEST_PAUSE;
    match until {
        Until::Precisely(deadline) => Until::Precisely(deadline.min(pause)),
        Until::Punctually(deadline, _) if deadline > pause => Until::Precisely(pause),
        until => until,
    }
}
