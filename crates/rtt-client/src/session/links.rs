//! A series' way to its peer: opened when it is needed, replaced when it is used up, closed in good order.

use super::RunError;
use super::link::Link;
use super::series::Series;
use crate::Failure;
use crate::plan::Lifetime;
use crate::system::TcpInfo;
use crate::transport::Traffic;
use std::time::Duration;

/// How long the end of a connection is waited for.
const CLOSING: Duration = Duration::from_secs(1);

/// The most requests on a connection whose replies are still to come: as many as the ledger remembers.
const MOST_UNANSWERED: usize = 1 << 20;

/// How many opened links are remembered: more than one exchange ever opens.
const MOST_OPENED: usize = 16;

impl Series {
    /// Makes sure that there is a link which takes another request.
    pub(super) fn ready_link(&mut self) -> Result<Result<(), Failure>, RunError> {
        let used_up = self.link.as_ref().is_some_and(|link| {
            let each = self.plan.settings.lifetime == Lifetime::Each && link.connection.is_some();
            let closes = self.closes_after.is_some_and(|replies| link.replies >= replies);
            let stuck = link.waiting.len() >= MOST_UNANSWERED;
            (each && link.sends > 0) || (closes && self.plan.pace.waits_for_replies()) || stuck
        });
        if used_up {
            self.close();
        }
        if self.link.is_some() {
            return Ok(Ok(()));
        }
        let opening = match self.first.take() {
            Some(opening) => opening,
            None => (self.plan.protocol.open)(self.address, self.config)?,
        };
        // Told after the exchange that it is made for, which would have to wait for the telling.
        self.made.extend(opening.connection);
        match Link::new(opening, self.plan.protocol.framing) {
            Ok(link) => {
                // A long series without a taker must not grow.
                if self.opened.len() == MOST_OPENED {
                    self.opened.pop_front();
                }
                self.opened.push_back(link.transport.local());
                self.link = Some(link);
                Ok(Ok(()))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    pub(super) fn close(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        self.harvest(&link);
        let patience = CLOSING.min(self.plan.settings.timeout);
        // After one exchange there is nobody to wait for.
        let one = self.plan.settings.count == Some(1);
        if !one && let Some(closing) = link.transport.close(patience) {
            self.summary.close.add(closing);
        }
    }

    /// Takes what the kernel knows of a connection that ends.
    pub(super) fn harvest(&mut self, link: &Link) {
        let traffic = self.ended_traffic.zip(link.transport.traffic());
        self.ended_traffic = traffic.map(|(before, now)| before + now);
        let Some(info) = link.transport.tcp_info() else { return };
        self.summary.tcp = Some(info.following(self.summary.tcp));
    }
    /// What has crossed the wire in this series, where that is known of all of it.
    pub(super) fn traffic(&self) -> Option<Traffic> {
        let now = self.link.as_ref().map_or(Some(Traffic::default()), |l| l.transport.traffic());
        Some(self.ended_traffic? + now?)
    }

    /// What the kernel knows of the connection, if there is one.
    pub(super) fn tcp_info(&self) -> Option<TcpInfo> {
        self.link.as_ref()?.transport.tcp_info()
    }
}
