//! [`UninstrumentedControl`]: repeats the exchanges of a series without the instruments of a breakdown.
//!
//! Kernel timestamps and the timing header cost time. A series with a breakdown therefore alternates between
//! an exchange with these instruments and a control exchange without them. The difference of their RTTs is
//! the cost of the instruments.

use crate::analysis::statistics::Distribution;
use crate::engine::channel::{Channel, ChannelEvent};
use crate::model::exchange::Exchange;
use crate::model::protocol::Protocol;
use crate::net::system::WaitUntil;
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::plan::payload::Payload;
use crate::plan::{Lifetime, Plan};
use crate::protocol::driver;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The control of a series, with its own channel to the same address.
pub(super) struct UninstrumentedControl {
    protocol: &'static Protocol,
    address: SocketAddr,
    config: OpenConfig,
    open: fn(SocketAddr, OpenConfig) -> Result<OpenAttempt, SocketError>,
    payload: Payload,
    timeout: Duration,
    lifetime: Lifetime,
    channel: Option<Channel>,
    seq: u64,
    is_due: bool,
    rtts: Distribution,
}

impl UninstrumentedControl {
    pub(super) fn new(plan: &Plan, address: SocketAddr, config: OpenConfig) -> Self {
        // The socket of the series uses the local port of --bind.
        let mut config = config.with_any_local_port();
        config.receiver.timestamps = false;
        Self {
            protocol: plan.protocol,
            address,
            config,
            open: driver(plan.protocol).open,
            payload: plan.payload.without_timing(),
            timeout: plan.settings.timeout,
            lifetime: plan.settings.lifetime,
            channel: None,
            seq: 0,
            is_due: false,
            rtts: Distribution::default(),
        }
    }

    /// Records that an exchange of the series is decided. A control exchange follows if the server has
    /// answered: the control does not add a second timeout to each lost request.
    pub(super) fn exchange_decided(&mut self, exchange: &Exchange) {
        self.is_due = exchange.rtt().is_some();
    }

    /// Whether a control exchange is due.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Performs one control exchange.
    pub(super) fn run_exchange(&mut self, stop: &AtomicBool) -> Result<(), SocketError> {
        self.is_due = false;
        if let Some(rtt) = self.measure(stop)? {
            self.rtts.add(rtt);
        }
        Ok(())
    }

    /// The RTTs of the control exchanges.
    pub(super) fn finish(self) -> Distribution {
        self.rtts
    }

    /// The RTT of one exchange, if the reply arrives.
    fn measure(&mut self, stop: &AtomicBool) -> Result<Option<Duration>, SocketError> {
        if self.channel.is_none() {
            let attempt = (self.open)(self.address, self.config)?;
            self.channel = Channel::new(attempt, self.protocol.framing).ok();
        }
        let Some(mut channel) = self.channel.take() else { return Ok(None) };
        self.seq += 1;
        let seq = self.seq;
        let Ok((sent, _)) = channel.send(seq, self.payload.request(seq)) else { return Ok(None) };
        let deadline = sent.monotonic() + self.timeout;
        while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
            match channel.receive(WaitUntil::Coarse(deadline), &mut self.payload, Some(seq)) {
                Ok(ChannelEvent::Reply(reply)) if reply.seq == Some(seq) => {
                    if self.lifetime == Lifetime::Keep {
                        self.channel = Some(channel);
                    }
                    return Ok(Some(reply.received.since(&sent)));
                }
                Ok(ChannelEvent::Nothing | ChannelEvent::Reply(_)) => {}
                // The server may close its connections after each reply. The next exchange opens a new one.
                Ok(ChannelEvent::End | ChannelEvent::Wrong { .. }) | Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
