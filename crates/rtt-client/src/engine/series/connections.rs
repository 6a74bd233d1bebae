//! A series' way to its peer: opened when it is needed, replaced when it is used up, closed in good order.

use super::Series;
use crate::engine::channel::Channel;
use crate::engine::run::RunError;
use crate::model::condition::Failure;
use crate::model::tcp_info::TcpInfo;
use crate::model::traffic::Traffic;
use crate::plan::Lifetime;
use crate::protocol::driver;
use std::time::Duration;

/// How long the end of a connection is waited for.
const CLOSING: Duration = Duration::from_secs(1);

/// The most requests on a connection whose replies are still to come: as many as the ledger remembers.
const MOST_UNANSWERED: usize = 1 << 20;

/// How many opened links are remembered: more than one exchange ever opens.
const MOST_OPENED: usize = 16;

impl Series {
    /// Makes sure that there is a link which takes another request.
    pub(in crate::engine) fn ensure_channel(&mut self) -> Result<Result<(), Failure>, RunError> {
        let used_up = self.channel.as_ref().is_some_and(|channel| {
            let each =
                self.plan.settings.lifetime == Lifetime::Each && channel.connection.is_some();
            let closes = self.closes_after.is_some_and(|replies| channel.replies >= replies);
            let stuck = channel.waiting.len() >= MOST_UNANSWERED;
            (each && channel.sends > 0) || (closes && self.plan.pacing.waits_for_replies()) || stuck
        });
        if used_up {
            self.close();
        }
        if self.channel.is_some() {
            return Ok(Ok(()));
        }
        let opening = match self.first.take() {
            Some(opening) => opening,
            None => (driver(self.plan.protocol).open)(self.address, self.config)?,
        };
        // Told after the exchange that it is made for, which would have to wait for the telling.
        self.made.extend(opening.connection);
        match Channel::new(opening, self.plan.protocol.framing) {
            Ok(channel) => {
                // A long series without a taker must not grow.
                if self.opened.len() == MOST_OPENED {
                    self.opened.pop_front();
                }
                self.opened.push_back(channel.transport.local());
                self.channel = Some(channel);
                Ok(Ok(()))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    pub(in crate::engine) fn close(&mut self) {
        let Some(mut channel) = self.channel.take() else { return };
        self.collect_statistics(&channel);
        let patience = CLOSING.min(self.plan.settings.timeout);
        // After one exchange there is nobody to wait for.
        let one = self.plan.settings.count == Some(1);
        if !one && let Some(closing) = channel.transport.close(patience) {
            self.summary.close.add(closing);
        }
    }

    /// Takes what the kernel knows of a connection that ends.
    pub(in crate::engine) fn collect_statistics(&mut self, channel: &Channel) {
        let traffic = self.ended_traffic.zip(channel.transport.traffic());
        self.ended_traffic = traffic.map(|(before, now)| before + now);
        let Some(info) = channel.transport.tcp_info() else { return };
        self.summary.tcp = Some(info.with_earlier_connections(self.summary.tcp));
    }
    /// What has crossed the wire in this series, where that is known of all of it.
    pub(in crate::engine) fn traffic(&self) -> Option<Traffic> {
        let now = self.channel.as_ref().map_or(Some(Traffic::default()), |l| l.transport.traffic());
        Some(self.ended_traffic? + now?)
    }

    /// What the kernel knows of the connection, if there is one.
    pub(in crate::engine) fn tcp_info(&self) -> Option<TcpInfo> {
        self.channel.as_ref()?.transport.tcp_info()
    }
}
