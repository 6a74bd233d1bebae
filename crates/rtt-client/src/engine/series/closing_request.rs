//! The closing request of a series: its reply contains the server's counts.
//!
//! The counts in a reply are evidence about earlier requests. If the last requests of a series are lost, no such reply
//! follows. The client then sends one more request, which is not a part of the series.

use super::{LISTEN_RTTS, Series, Sink};
use crate::engine::channel::ChannelEvent;
use crate::engine::run::RunError;
use crate::net::system::WaitUntil;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The minimum wait for the reply. It is longer than a pause of a busy host.
const MIN_WAIT: Duration = Duration::from_millis(50);

impl Series<'_> {
    /// Sends a closing request if its reply would contain evidence about lost exchanges. Waits for the reply. There is only
    /// one attempt: with a second one, it would be unknown whether the first one is among the losses that the server counts.
    pub(super) fn send_closing_request(&mut self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let is_useful = self.settings.locate_losses
            && self.accounting.in_flight() == 0
            && self.accounting.losses().has_tail();
        let Some(channel) = self.connections.channel().filter(|_| is_useful) else { return Ok(()) };
        let seq = self.accounting.next_seq();
        if channel.send(seq, self.payload.request(seq), self.stop).is_err() {
            return Ok(());
        }
        let longest = self.accounting.summary().rtt.max().unwrap_or_default();
        let wait = (LISTEN_RTTS * longest).clamp(MIN_WAIT, self.settings.timeout.max(MIN_WAIT));
        let deadline = Instant::now() + wait;
        while Instant::now() < deadline && !self.stop.load(Ordering::Relaxed) {
            let Some(channel) = self.connections.channel() else { return Ok(()) };
            match channel.receive(WaitUntil::Exact(deadline), &mut self.payload, None) {
                Ok(ChannelEvent::Reply(reply)) if reply.seq == Some(seq) => {
                    self.accounting.closing_reply(seq, &reply);
                    return Ok(());
                }
                event => self.process(event, sink)?,
            }
        }
        Ok(())
    }
}
