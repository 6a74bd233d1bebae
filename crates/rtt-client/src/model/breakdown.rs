//! The parts of a round-trip time, computed from the timestamps of the program and of the kernel.
//!
//! An exchange has four timestamps on this host ([`ExchangeTimestamps`]). They divide the RTT into three parts:
//!
//! ```text
//! program sends    kernel transmits            kernel receives    program receives
//!       |---- send ----|---- network and server ----|---- receive ----|
//! ```
//!
//! The timing header of the reply (docs/protocol.md) contains the processing time of the server. This time
//! divides the middle part into network and server.

use crate::model::protocol::Responder;
use echo_core::Stamp;
use echo_core::header::{ArrivalClock, Timing};
use std::time::{Duration, SystemTime};

/// During an exchange, the wall clock and the monotonic clock may drift apart by this time plus a thousandth of the
/// RTT. The kernel's timestamps use the wall clock. Slewing changes the wall clock by at most 500 ppm (adjtimex(2)),
/// so the drift stays within this limit. A step of the clock usually exceeds the limit.
const MAX_CLOCK_DRIFT: Duration = Duration::from_micros(1);

/// Identifies the kernel's transmit timestamp of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TimestampId {
    /// The counter that the kernel adds to each timestamp (`SOF_TIMESTAMPING_OPT_ID`). Absent if the socket
    /// takes no timestamps.
    pub(crate) id: Option<u32>,
}

/// The parts of one round-trip time. Their sum is the RTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakdown {
    /// From the program's send call until the kernel passes the packet to the network interface.
    pub send: Duration,
    /// From the end of `send` until the packet of the reply arrives in this host's kernel.
    pub network_and_server: NetworkAndServer,
    /// From the arrival of the reply in the kernel until the program receives it. This includes the time to
    /// wake the program.
    pub receive: Duration,
}

/// The time from the departure of the request from this host's kernel to the arrival of the reply in the same kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkAndServer {
    /// The server reported its processing time.
    Separate {
        /// The time on the network, both directions together.
        network: Duration,
        /// From the arrival of the request in the server's kernel until the server passes its reply to the
        /// kernel.
        server: Duration,
        /// The part of `server` in which the request waited for the server's rate limit.
        limit: Duration,
    },
    /// Only the sum is known.
    Combined {
        /// The sum of network and server.
        duration: Duration,
        /// The reason why network and server are not separate.
        reason: CombinedReason,
    },
}

/// The reason why the time of the network and the time of the server are not separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CombinedReason {
    /// The reply has no timing header. The server does not support the header, or the request was too long for it.
    NoTimingHeader,
    /// The reply has a timing header, but the server's kernel did not timestamp the request. This is usual for
    /// the first request on a connection or socket, because the server enables timestamps when it reads this
    /// request (docs/protocol.md).
    NoServerTimestamp,
    /// The kernel of the target's host replies. It reports no processing time.
    KernelReply,
}

impl CombinedReason {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTimingHeader => "no-timing-header",
            Self::NoServerTimestamp => "no-server-timestamp",
            Self::KernelReply => "kernel-reply",
        }
    }
}

/// The reason why an exchange has no breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakdownError {
    /// The kernel did not timestamp one of the packets.
    MissingTimestamp,
    /// A clock was set during the exchange, so the timestamps of kernel and program cannot be compared.
    ClockWasSet,
    /// The processing time in the header is longer than the time between the packets.
    ImpossibleServerTime,
    /// The reply arrived in the kernel before the program sent the request.
    ArrivedBeforeRequest,
}

/// The timestamps of an exchange on this host, in the order of the events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExchangeTimestamps {
    /// The program's reading of the clock, before it sends the request.
    pub(crate) sent: Stamp,
    /// The kernel's timestamp of the request, when it passes the packet to the network interface.
    pub(crate) transmitted: Option<SystemTime>,
    /// The kernel's timestamp of the reply, when the packet arrives.
    pub(crate) arrived: Option<SystemTime>,
    /// The program's reading of the clock, after it has received the reply.
    pub(crate) received: Stamp,
}

/// Divides an RTT into its parts. `timing` is the content of the reply's timing header.
pub(crate) fn split(
    timestamps: ExchangeTimestamps,
    timing: Option<Timing>,
    responder: Responder,
) -> Result<Breakdown, BreakdownError> {
    let ExchangeTimestamps { sent, transmitted, arrived, received } = timestamps;
    let rtt = received.since(&sent);
    if timing.is_some_and(|timing| timing.server > rtt) {
        return Err(BreakdownError::ImpossibleServerTime);
    }
    let (Some(transmitted), Some(arrived)) = (transmitted, arrived) else {
        return Err(BreakdownError::MissingTimestamp);
    };
    let wall_rtt =
        received.wall().duration_since(sent.wall()).map_err(|_| BreakdownError::ClockWasSet)?;
    let max_drift = MAX_CLOCK_DRIFT + rtt / 1000;
    if wall_rtt.abs_diff(rtt) > max_drift {
        return Err(BreakdownError::ClockWasSet);
    }
    // The clocks agree during the exchange, so the kernel's timestamp is correct.
    if arrived + max_drift < sent.wall() {
        return Err(BreakdownError::ArrivedBeforeRequest);
    }
    // `Stamp::just_before` reads the wall clock first, then the monotonic clock. `sending` starts at the
    // wall-clock reading, so it includes the time to read the monotonic clock. The RTT does not include this time.
    // `receive` is the rest of the RTT, so it becomes shorter by this time.
    let sending =
        transmitted.duration_since(sent.wall()).map_err(|_| BreakdownError::ClockWasSet)?;
    let between = arrived.duration_since(transmitted).map_err(|_| BreakdownError::ClockWasSet)?;
    let sending = sending.min(rtt);
    let between = between.min(rtt.saturating_sub(sending));
    let receive = rtt.saturating_sub(sending + between);
    let combined = |reason| NetworkAndServer::Combined { duration: between, reason };
    let network_and_server = match timing {
        None => combined(match responder {
            Responder::Program(_) => CombinedReason::NoTimingHeader,
            Responder::Kernel | Responder::KernelOfServer => CombinedReason::KernelReply,
        }),
        Some(Timing { arrival: ArrivalClock::Program, .. }) => {
            combined(CombinedReason::NoServerTimestamp)
        }
        Some(Timing { arrival: ArrivalClock::Kernel, server }) => {
            let network =
                between.checked_sub(server).ok_or(BreakdownError::ImpossibleServerTime)?;
            NetworkAndServer::Separate { network, server, limit: Duration::ZERO }
        }
    };
    Ok(Breakdown { send: sending, network_and_server, receive })
}

impl Breakdown {
    /// The same parts, with the time in which the request waited for the server's rate limit.
    #[must_use]
    pub(crate) fn with_limit(mut self, delay: Duration) -> Self {
        if let NetworkAndServer::Separate { server, limit, .. } = &mut self.network_and_server {
            *limit = delay.min(*server);
        }
        self
    }

    /// The sum of the parts: the RTT.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.send + self.network_and_server.total() + self.receive
    }
}

impl NetworkAndServer {
    /// The time of the network and the server together.
    #[must_use]
    pub fn total(self) -> Duration {
        match self {
            Self::Separate { network, server, .. } => network + server,
            Self::Combined { duration, .. } => duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    fn timing(arrival: ArrivalClock, microseconds: u32) -> Timing {
        Timing { arrival, server: MICROSECOND * microseconds }
    }

    /// Splits an exchange that starts at 0 and ends after 73 µs. The kernel transmits the request after 1 µs
    /// and receives the reply after 38 µs.
    fn exchange(timing: Option<Timing>) -> Result<Breakdown, BreakdownError> {
        let sent = Stamp::just_before();
        let wall = |microseconds| Some(sent.wall() + MICROSECOND * microseconds);
        let timestamps = ExchangeTimestamps {
            sent,
            transmitted: wall(1),
            arrived: wall(38),
            received: sent.later(MICROSECOND * 73),
        };
        split(timestamps, timing, Responder::Program(None))
    }

    #[test]
    fn parts_add_up_to_the_rtt() {
        let parts = exchange(None).unwrap();
        assert_eq!((parts.send, parts.receive), (MICROSECOND, MICROSECOND * 35));
        let (duration, reason) = (MICROSECOND * 37, CombinedReason::NoTimingHeader);
        assert_eq!(parts.network_and_server, NetworkAndServer::Combined { duration, reason });
        assert_eq!(parts.total(), MICROSECOND * 73);

        let parts = exchange(Some(timing(ArrivalClock::Kernel, 36))).unwrap();
        let (network, server) = (MICROSECOND, MICROSECOND * 36);
        assert_eq!(
            parts.network_and_server,
            NetworkAndServer::Separate { network, server, limit: Duration::ZERO }
        );
        assert_eq!(parts.total(), MICROSECOND * 73);
    }

    #[test]
    fn server_time_without_kernel_timestamp_is_combined_with_the_network_time() {
        let parts = exchange(Some(timing(ArrivalClock::Program, 2))).unwrap();
        let (duration, reason) = (MICROSECOND * 37, CombinedReason::NoServerTimestamp);
        assert_eq!(parts.network_and_server, NetworkAndServer::Combined { duration, reason });
    }

    #[test]
    fn kernel_that_replies_is_combined_with_the_network() {
        let sent = Stamp::just_before();
        let timestamps = ExchangeTimestamps {
            sent,
            transmitted: Some(sent.wall() + MICROSECOND),
            arrived: Some(sent.wall() + MICROSECOND * 5),
            received: sent.later(MICROSECOND * 7),
        };
        let parts = split(timestamps, None, Responder::Kernel).unwrap();
        let (duration, reason) = (MICROSECOND * 4, CombinedReason::KernelReply);
        assert_eq!(parts.network_and_server, NetworkAndServer::Combined { duration, reason });
        assert_eq!(parts.total(), MICROSECOND * 7);
    }

    #[test]
    fn impossible_server_time_is_an_error() {
        assert_eq!(
            exchange(Some(timing(ArrivalClock::Kernel, 38))),
            Err(BreakdownError::ImpossibleServerTime)
        );
        assert_eq!(
            exchange(Some(timing(ArrivalClock::Kernel, 74))),
            Err(BreakdownError::ImpossibleServerTime)
        );
    }

    #[test]
    fn missing_timestamps_and_clock_steps_are_errors() {
        let sent = Stamp::just_before();
        let received = sent.later(Duration::from_secs(1));
        let split = |transmitted, arrived| {
            let timestamps = ExchangeTimestamps { sent, transmitted, arrived, received };
            split(timestamps, None, Responder::Kernel)
        };
        assert_eq!(split(None, None), Err(BreakdownError::MissingTimestamp));
        let before_sent = Some(sent.wall() - MICROSECOND);
        let long_before = Some(sent.wall() - 2 * Duration::from_millis(1));
        let after_sent = Some(sent.wall() + MICROSECOND);
        let clock_was_set = Err(BreakdownError::ClockWasSet);
        assert_eq!(split(before_sent, after_sent), clock_was_set);
        assert_eq!(split(after_sent, before_sent), clock_was_set);
        let too_early = Err(BreakdownError::ArrivedBeforeRequest);
        assert_eq!(split(after_sent, long_before), too_early);
    }
}
