//! The same exchange without the breakdown's instruments, in every second place of the series: what the
//! instruments cost is the difference.

use crate::engine::channel::{Channel, ChannelEvent};
use crate::net::system::WaitUntil;
use crate::net::transport::OpenConfig;
use crate::net::transport::SocketError;
use crate::plan::Lifetime;
use crate::plan::Plan;
use crate::plan::payload::Payload;
use crate::protocol::driver;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A second way to the same peer, without instruments.
pub(in crate::engine) struct UninstrumentedControl {
    plan: Plan,
    address: SocketAddr,
    config: OpenConfig,
    payload: Payload,
    channel: Option<Channel>,
    seq: u64,
    /// Whether the next place of the series is its own.
    pub(in crate::engine) is_next: bool,
}

impl UninstrumentedControl {
    pub(in crate::engine) fn new(plan: &Plan, address: SocketAddr, mut config: OpenConfig) -> Self {
        config.receiver.timestamps = false;
        let payload = plan.payload.untimed();
        Self { plan: plan.clone(), address, config, payload, channel: None, seq: 0, is_next: false }
    }

    /// One exchange; its RTT, if it has one.
    pub(in crate::engine) fn exchange(
        &mut self,
        stop: &AtomicBool,
    ) -> Result<Option<Duration>, SocketError> {
        let protocol = self.plan.protocol;
        let mut channel = match self.channel.take() {
            Some(channel) => channel,
            None => {
                match Channel::new(
                    (driver(protocol).open)(self.address, self.config)?,
                    protocol.framing,
                ) {
                    Ok(channel) => channel,
                    Err(_) => return Ok(None),
                }
            }
        };
        self.seq += 1;
        let seq = self.seq;
        let Ok((sent, _)) = channel.send(seq, self.payload.request(seq)) else { return Ok(None) };
        let deadline = sent.monotonic() + self.plan.settings.timeout;
        while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
            match channel.receive(WaitUntil::Coarse(deadline), &mut self.payload, Some(seq)) {
                Ok(ChannelEvent::Reply(arrived)) if arrived.seq == Some(seq) => {
                    let rtt = arrived.received.since(&sent);
                    if self.plan.settings.lifetime == Lifetime::Keep {
                        self.channel = Some(channel);
                    }
                    return Ok(Some(rtt));
                }
                Ok(ChannelEvent::Nothing | ChannelEvent::Reply(_)) => {}
                // A server that closes after its reply: the next exchange has a connection of its own.
                Ok(ChannelEvent::End | ChannelEvent::Wrong { .. }) | Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }
}
