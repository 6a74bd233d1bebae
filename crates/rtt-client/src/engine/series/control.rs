//! [`UninstrumentedControl`]: exchanges with neither kernel timestamps nor timing headers.
//!
//! Kernel timestamps and the timing header cost time. A series with a breakdown therefore alternates between an
//! exchange with them and a control exchange without them. The difference between the RTTs of these exchanges is the
//! cost of the breakdown.

use crate::analysis::statistics::Distribution;
use crate::engine::channel::{Channel, ChannelEvent};
use crate::model::exchange::{Connection, Exchange};
use crate::model::protocol::{Framing, Protocol};
use crate::net::system::WaitUntil;
use crate::net::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::plan::payload::Payload;
use crate::plan::{Lifetime, Plan};
use crate::protocol::driver;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::debug;

/// The control exchanges of a series. They use a separate channel to the same address.
pub(super) struct UninstrumentedControl<'a> {
    protocol: &'static Protocol,
    /// `None` as long as the name of the target has no address.
    address: Option<SocketAddr>,
    config: OpenConfig<'a>,
    open: fn(SocketAddr, OpenConfig<'_>) -> Result<OpenAttempt, SocketError>,
    payload: Payload,
    timeout: Duration,
    lifetime: Lifetime,
    channel: Option<Channel>,
    seq: u64,
    is_due: bool,
    rtts: Distribution,
}

impl<'a> UninstrumentedControl<'a> {
    pub(super) fn new(plan: &Plan, address: Option<SocketAddr>, config: OpenConfig<'a>) -> Self {
        // The socket of the series already uses the local port that `--bind` selects.
        let config = config.with_any_local_port();
        Self {
            protocol: plan.protocol,
            address,
            config: config.without_timestamps(),
            open: driver(plan.protocol).open,
            payload: plan.payload.without_header(),
            timeout: plan.settings.timeout,
            lifetime: plan.settings.lifetime,
            channel: None,
            seq: 0,
            is_due: false,
            rtts: Distribution::default(),
        }
    }

    /// Measures another address from now on.
    pub(super) fn set_address(&mut self, address: SocketAddr) {
        self.address = Some(address);
        self.channel = None;
    }

    /// Records that the outcome of an exchange is decided. A control exchange follows only an exchange with a correct
    /// reply. Otherwise, the client could wait for a second timeout after each lost request.
    pub(super) fn exchange_decided(&mut self, exchange: &Exchange) {
        self.is_due = exchange.rtt().is_some();
    }

    /// Whether a control exchange is due.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Runs one control exchange.
    pub(super) fn run_exchange(&mut self, stop: &AtomicBool) {
        self.is_due = false;
        if let Some(rtt) = self.measure(stop) {
            self.rtts.add(rtt);
        }
    }

    /// The RTTs of the control exchanges.
    pub(super) fn finish(self) -> Distribution {
        self.rtts
    }

    /// The RTT of one exchange, if the correct reply arrives in time. Otherwise, the next exchange opens a new channel.
    fn measure(&mut self, stop: &AtomicBool) -> Option<Duration> {
        if self.channel.is_none() {
            let address = self.address?;
            match (self.open)(address, self.config) {
                Ok(OpenAttempt { connection, transport: Ok(transport) }) => {
                    let established = connection.as_ref().and_then(Connection::established);
                    let channel = Channel::new(transport, self.protocol.framing);
                    self.channel = Some(channel.established_at(established));
                }
                Ok(OpenAttempt { transport: Err(failure), .. }) => {
                    self.log_failure(&failure.condition);
                }
                Err(error) => self.log_failure(&error),
            }
        }
        let mut channel = self.channel.take()?;
        channel.discard_rest_of_reply(&self.payload);
        self.seq += 1;
        let seq = self.seq;
        let sent = match channel.send(seq, self.payload.request(seq), stop) {
            Ok(sent) => sent.stamp,
            Err(error) => {
                self.log_failure(&error);
                return None;
            }
        };
        let deadline = sent.monotonic() + self.timeout;
        while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
            match channel.receive(WaitUntil::Coarse(deadline), &mut self.payload, Some(seq)) {
                Ok(ChannelEvent::Reply(reply)) if reply.seq == Some(seq) => {
                    let ends_connection = self.payload.ends_connection(&reply.bytes);
                    if self.lifetime == Lifetime::Keep && !ends_connection {
                        self.channel = Some(channel);
                    }
                    return Some(reply.received.since(&sent));
                }
                Ok(ChannelEvent::Nothing | ChannelEvent::Stray | ChannelEvent::Reply(_)) => {}
                // The correct datagram can still arrive.
                Ok(ChannelEvent::Wrong { .. }) if self.protocol.framing == Framing::Datagrams => {}
                Ok(ChannelEvent::End) => {
                    self.log_failure(&"the server closed the connection");
                    return None;
                }
                Ok(ChannelEvent::Failed { failure, .. }) => {
                    self.log_failure(&failure.condition);
                    return None;
                }
                Ok(ChannelEvent::Wrong { mismatch, .. }) => {
                    self.log_failure(&mismatch);
                    return None;
                }
                Err(error) => {
                    self.log_failure(&error);
                    return None;
                }
            }
        }
        self.log_failure(&"no reply in time");
        None
    }

    /// Logs why a control exchange has no RTT.
    fn log_failure(&self, reason: &dyn std::fmt::Display) {
        debug!(
            protocol = self.protocol.name,
            address = self.address.map(tracing::field::display),
            seq = self.seq,
            %reason,
            "control exchange failed"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::test_transport::{ADDRESS, open_echo};
    use crate::model::condition::{Condition, Failure};
    use crate::model::exchange::Outcome;
    use crate::net::system::ReceiveConfig;
    use crate::plan::Settings;
    use crate::protocol::registry::protocol_named;
    use echo_core::Stamp;

    fn control(settings: Settings) -> UninstrumentedControl<'static> {
        let tcp = protocol_named("tcp").unwrap();
        let settings = Settings { breakdown: true, ..settings };
        let config = OpenConfig::new(&settings);
        let receiver = ReceiveConfig { timestamps: true, ..config.receiver };
        let plan = Plan::new(tcp, "127.0.0.1".parse().unwrap(), settings).unwrap();
        let control =
            UninstrumentedControl::new(&plan, Some(ADDRESS), OpenConfig { receiver, ..config });
        UninstrumentedControl { open: open_echo, ..control }
    }

    fn exchange(outcome: Outcome) -> Exchange {
        Exchange {
            seq: 1,
            sent: Some(Stamp::just_before()),
            lateness: None,
            connection_position: None,
            outcome,
            breakdown: None,
            first_byte: None,
            hop_limit: None,
            retransmitted: None,
            lost_where: None,
        }
    }

    #[test]
    fn control_exchange_follows_only_an_exchange_with_a_reply() {
        let mut control = control(Settings::series(10));
        assert!(!control.is_due());
        let received = Stamp::just_after();
        control.exchange_decided(&exchange(Outcome::Reply { received, text: None }));
        assert!(control.is_due());
        control.run_exchange(&AtomicBool::new(false));
        assert!(!control.is_due());
        let failure = Failure::new(Condition::Silent, Duration::from_secs(2));
        control.exchange_decided(&exchange(Outcome::Lost(failure)));
        assert!(!control.is_due());
    }

    #[test]
    fn control_exchange_requests_no_kernel_timestamps_and_no_processing_time() {
        let control = control(Settings::series(10));
        assert!(!control.config.receiver.timestamps);
        let payload = control.payload.clone().request(1).to_vec();
        assert!(!payload.starts_with(b"echo-rtt"), "{payload:?}");
    }

    #[test]
    fn each_control_exchange_has_an_rtt() {
        for (lifetime, keeps) in [(Lifetime::Keep, true), (Lifetime::Each, false)] {
            let mut control = control(Settings { lifetime, ..Settings::series(10) });
            for _ in 0..3 {
                control.run_exchange(&AtomicBool::new(false));
            }
            assert_eq!(control.channel.is_some(), keeps);
            assert_eq!(control.finish().count(), 3);
        }
    }
}
