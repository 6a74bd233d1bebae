//! The same exchange without the breakdown's instruments, in every second place of the series: what the
//! instruments cost is the difference.

use super::link::{Arrival, Link};
use crate::load::Load;
use crate::plan::Lifetime;
use crate::system::Until;
use crate::transport::OpenConfig;
use crate::{Plan, SocketError};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A second way to the same peer, without instruments.
pub(super) struct Twin {
    plan: Plan,
    address: SocketAddr,
    config: OpenConfig,
    load: Load,
    link: Option<Link>,
    seq: u64,
    /// Whether the next place of the series is its own.
    pub(super) is_next: bool,
}

impl Twin {
    pub(super) fn new(plan: &Plan, address: SocketAddr, mut config: OpenConfig) -> Self {
        config.inlet.stamps = false;
        let load = plan.load.untimed();
        Self { plan: plan.clone(), address, config, load, link: None, seq: 0, is_next: false }
    }

    /// One exchange; its RTT, if it has one.
    pub(super) fn exchange(&mut self, stop: &AtomicBool) -> Result<Option<Duration>, SocketError> {
        let protocol = self.plan.protocol;
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                match Link::new((protocol.open)(self.address, self.config)?, protocol.framing) {
                    Ok(link) => link,
                    Err(_) => return Ok(None),
                }
            }
        };
        self.seq += 1;
        let seq = self.seq;
        let Ok((sent, _)) = link.send(seq, self.load.request(seq)) else { return Ok(None) };
        let deadline = sent.monotonic() + self.plan.settings.timeout;
        while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
            match link.receive(Until::Casually(deadline), &mut self.load, Some(seq)) {
                Ok(Arrival::Reply(arrived)) if arrived.seq == Some(seq) => {
                    let rtt = arrived.received.since(&sent);
                    if self.plan.settings.lifetime == Lifetime::Keep {
                        self.link = Some(link);
                    }
                    return Ok(Some(rtt));
                }
                Ok(Arrival::Nothing | Arrival::Reply(_)) => {}
                // A server that closes after its reply: the next exchange has a connection of its own.
                Ok(Arrival::End | Arrival::Wrong { .. }) | Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }
}
