//! [`BreakdownFigures`]: the parts of many RTTs.

use super::Distribution;
use crate::model::breakdown::{Breakdown, CombinedReason, NetworkAndServer};

/// The parts of many RTTs.
///
/// If network and server are separate, an exchange adds to `network` and `server`. Otherwise the exchange is
/// combined, and it adds to `network_and_server`. Even with our own server, the first exchange on a connection is
/// usually combined.
#[derive(Debug, Default)]
pub struct BreakdownFigures {
    /// From the program to the network interface.
    pub send: Distribution,
    /// Network and server together, if they are not separate.
    pub network_and_server: Distribution,
    /// The number of combined exchanges with [`CombinedReason::NoTimingHeader`].
    pub without_timing_header: u64,
    /// The number of combined exchanges with [`CombinedReason::NoServerTimestamp`].
    pub without_server_timestamp: u64,
    /// The number of combined exchanges with [`CombinedReason::KernelReply`].
    pub kernel_replies: u64,
    /// The network alone.
    pub network: Distribution,
    /// The server alone.
    pub server: Distribution,
    /// From the arrival of the packet to the program.
    pub receive: Distribution,
}

impl BreakdownFigures {
    /// Whether network and server are separate for at least half of the exchanges. Some exchanges have separate times
    /// for network and server. The other exchanges have only the sum. Reports show only the more frequent kind,
    /// because both kinds together would count the same time twice.
    #[must_use]
    pub fn server_is_separate(&self) -> bool {
        self.server.count() >= self.network_and_server.count()
    }

    /// The more frequent reason why network and server are combined. Absent if they are separate for at least half
    /// of the exchanges.
    #[must_use]
    pub fn combined_reason(&self) -> Option<CombinedReason> {
        if self.server_is_separate() {
            None
        } else if self.kernel_replies > 0 {
            // The kernel replies to all requests of a protocol, or to none.
            Some(CombinedReason::KernelReply)
        } else if self.without_server_timestamp > self.without_timing_header {
            Some(CombinedReason::NoServerTimestamp)
        } else {
            Some(CombinedReason::NoTimingHeader)
        }
    }

    pub(crate) fn add(&mut self, breakdown: &Breakdown) {
        self.send.add(breakdown.send);
        self.receive.add(breakdown.receive);
        match breakdown.network_and_server {
            NetworkAndServer::Combined { duration, reason } => {
                self.network_and_server.add(duration);
                match reason {
                    CombinedReason::NoTimingHeader => self.without_timing_header += 1,
                    CombinedReason::NoServerTimestamp => self.without_server_timestamp += 1,
                    CombinedReason::KernelReply => self.kernel_replies += 1,
                }
            }
            NetworkAndServer::Separate { network, server, .. } => {
                self.network.add(network);
                self.server.add(server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn reasons_for_combined_parts_are_counted() {
        let mut figures = BreakdownFigures::default();
        let duration = Duration::from_micros(30);
        for reason in [
            CombinedReason::NoServerTimestamp,
            CombinedReason::NoTimingHeader,
            CombinedReason::NoServerTimestamp,
        ] {
            let network_and_server = NetworkAndServer::Combined { duration, reason };
            let (send, receive) = (Duration::ZERO, Duration::ZERO);
            figures.add(&Breakdown { send, network_and_server, receive });
        }
        assert_eq!((figures.without_timing_header, figures.without_server_timestamp), (1, 2));
        assert_eq!(figures.network_and_server.count(), 3);
        assert!(!figures.server_is_separate());
        assert_eq!(figures.combined_reason(), Some(CombinedReason::NoServerTimestamp));
    }
}
