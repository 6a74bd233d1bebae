//! The parts of a round-trip time, computed from the timestamps of the program and of the kernel. Pure.
//!
//! For one exchange there are four timestamps on this host. The program reads the clock before it sends the
//! request and after it has received the reply. The kernel timestamps the request when it hands the packet
//! to the network interface, and the reply when its packet arrives. They divide the RTT into three parts:
//!
//! ```text
//! program sends    kernel transmits            kernel receives    program has the reply
//!       |---- send ----|---- network and server ----|---- receive ----|
//! ```
//!
//! The server's timing header (docs/protocol.md) states how long the server had the request. With it, the
//! part in the middle is divided into network and server.

use echo_core::Stamp;
use echo_core::header::{ArrivalClock, Timing};
use std::time::{Duration, SystemTime};

/// The largest accepted change of the wall clock against the monotonic clock during an exchange. The kernel
/// uses the wall clock for its timestamps. Slewing changes it by at most 500 ppm (adjtimex(2)), which stays
/// below this limit for 2 ms. A step of the clock does not.
const MAX_CLOCK_DRIFT: Duration = Duration::from_micros(1);

/// Identifies a request among the kernel's transmit timestamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TimestampId {
    /// The counter that the kernel attaches to each timestamp (`SOF_TIMESTAMPING_OPT_ID`), if the socket
    /// takes timestamps.
    pub(crate) id: Option<u32>,
}

/// The parts of one round-trip time. Their sum is the RTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakdown {
    /// From the program's send call until the kernel hands the packet to the network interface.
    pub send: Duration,
    /// From there until the packet of the reply arrives in this host's kernel.
    pub network_and_server: NetworkAndServer,
    /// From there until the program has the reply. This includes the time to wake the program.
    pub receive: Duration,
}

/// The time between the request's departure from this host's kernel and the reply's arrival there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkAndServer {
    /// The server reported how long it had the request.
    Separate {
        /// The time on the network, both directions together.
        network: Duration,
        /// From the request's arrival in the server's kernel until the server hands its reply to the kernel.
        server: Duration,
    },
    /// Only the sum is known.
    Combined {
        /// The sum of both.
        duration: Duration,
        /// Why they are not separate.
        reason: CombinedReason,
    },
}

/// Why the time of the network and the time of the server are not separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CombinedReason {
    /// The reply has no timing header: the server does not support it, or the request was too long for it.
    NoTimingHeader,
    /// The reply has a timing header, but the server's kernel has no timestamp for the request. This is
    /// usual for the first request on a connection or socket: the server enables timestamps only when it
    /// reads the first timing header there (docs/protocol.md).
    NoServerTimestamp,
}

impl CombinedReason {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTimingHeader => "no-timing-header",
            Self::NoServerTimestamp => "no-server-timestamp",
        }
    }
}

/// Why an exchange has no breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakdownError {
    /// The kernel did not timestamp one of the packets.
    MissingTimestamp,
    /// A clock changed during the exchange. The timestamps of kernel and program cannot be compared.
    ClockWasSet,
    /// According to its header, the server had the request for longer than the packets were away.
    ImpossibleServerTime,
}

/// Divides an RTT into its parts. `sent` and `received` are the program's timestamps; `transmitted` and
/// `arrived` are the kernel's. `timing` is the content of the reply's timing header.
pub(crate) fn split(
    sent: Stamp,
    transmitted: Option<SystemTime>,
    arrived: Option<SystemTime>,
    received: Stamp,
    timing: Option<Timing>,
) -> Result<Breakdown, BreakdownError> {
    let rtt = received.since(&sent);
    if timing.is_some_and(|timing| timing.server > rtt) {
        return Err(BreakdownError::ImpossibleServerTime);
    }
    let (Some(transmitted), Some(arrived)) = (transmitted, arrived) else {
        return Err(BreakdownError::MissingTimestamp);
    };
    let wall_rtt =
        received.wall().duration_since(sent.wall()).map_err(|_| BreakdownError::ClockWasSet)?;
    if wall_rtt.abs_diff(rtt) > MAX_CLOCK_DRIFT + rtt / 1000 {
        return Err(BreakdownError::ClockWasSet);
    }
    // All durations start at the program's timestamps on the wall clock. In a `Stamp` of `sent` the wall
    // clock is read first, in one of `received` it is read last. Thus the cost of the readings is in the
    // first and the last part. The subtraction below takes it from the last part, usually the larger one.
    let sending =
        transmitted.duration_since(sent.wall()).map_err(|_| BreakdownError::ClockWasSet)?;
    let between = arrived.duration_since(transmitted).map_err(|_| BreakdownError::ClockWasSet)?;
    let sending = sending.min(rtt);
    let between = between.min(rtt.saturating_sub(sending));
    let receive = rtt.saturating_sub(sending + between);
    let combined = |reason| NetworkAndServer::Combined { duration: between, reason };
    let network_and_server = match timing {
        None => combined(CombinedReason::NoTimingHeader),
        Some(Timing { arrival: ArrivalClock::Program, .. }) => {
            combined(CombinedReason::NoServerTimestamp)
        }
        Some(Timing { arrival: ArrivalClock::Kernel, server }) => {
            let network =
                between.checked_sub(server).ok_or(BreakdownError::ImpossibleServerTime)?;
            NetworkAndServer::Separate { network, server }
        }
    };
    Ok(Breakdown { send: sending, network_and_server, receive })
}

impl Breakdown {
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
            Self::Separate { network, server } => network + server,
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

    /// An exchange that the program starts at 0 and ends at 73 µs. The kernel transmits the request at 1 µs
    /// and receives the reply at 38 µs.
    fn exchange(timing: Option<Timing>) -> Result<Breakdown, BreakdownError> {
        let sent = Stamp::just_before();
        let received = sent.later(MICROSECOND * 73);
        let wall = |microseconds| Some(sent.wall() + MICROSECOND * microseconds);
        split(sent, wall(1), wall(38), received, timing)
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
        assert_eq!(parts.network_and_server, NetworkAndServer::Separate { network, server });
        assert_eq!(parts.total(), MICROSECOND * 73);
    }

    #[test]
    fn network_and_server_are_combined_without_a_kernel_timestamp_of_the_server() {
        let parts = exchange(Some(timing(ArrivalClock::Program, 2))).unwrap();
        let (duration, reason) = (MICROSECOND * 37, CombinedReason::NoServerTimestamp);
        assert_eq!(parts.network_and_server, NetworkAndServer::Combined { duration, reason });
    }

    #[test]
    fn impossible_times_have_no_breakdown() {
        assert_eq!(
            exchange(Some(timing(ArrivalClock::Kernel, 38))),
            Err(BreakdownError::ImpossibleServerTime)
        );
        assert_eq!(
            exchange(Some(timing(ArrivalClock::Kernel, 74))),
            Err(BreakdownError::ImpossibleServerTime)
        );
        let sent = Stamp::just_before();
        let received = sent.later(MICROSECOND);
        assert_eq!(split(sent, None, None, received, None), Err(BreakdownError::MissingTimestamp));
        let long = sent.later(Duration::from_secs(1));
        let (early, late) = (sent.wall() - MICROSECOND, sent.wall() + MICROSECOND);
        let clock_was_set = Err(BreakdownError::ClockWasSet);
        assert_eq!(split(sent, Some(early), Some(late), long, None), clock_was_set);
        assert_eq!(split(sent, Some(late), Some(early), long, None), clock_was_set);
    }
}
