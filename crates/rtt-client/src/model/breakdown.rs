//! Where the time of an exchange went: the kernel's stamps put between the program's. Pure.

use echo_core::Stamp;
use echo_core::header::{ArrivalClock, Timing};
use std::time::{Duration, SystemTime};

/// How far the wall clock may have moved against the monotonic one during an exchange. The kernel
/// stamps with the wall clock; slewing (at most 500 ppm, adjtimex(2)) stays below this for 2 ms, and a
/// clock that is set does not.
const CLOCKS_AGREE: Duration = Duration::from_micros(1);

/// How a request is found again among the kernel's stamps of what was sent: the number that the
/// kernel counts by (`SOF_TIMESTAMPING_OPT_ID`), where stamps are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TimestampId {
    pub(crate) id: Option<u32>,
}

/// The parts of one round-trip time. They add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakdown {
    /// From handing the request to the system until the kernel gave it to the interface.
    pub send: Duration,
    /// Between the two interfaces and beyond.
    pub network_and_server: NetworkAndServer,
    /// From the packet's arrival in this host's kernel until the program had the reply: the waking up is
    /// in it.
    pub receive: Duration,
}

/// What passed between a request's leaving this host's kernel and its reply's arrival there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkAndServer {
    /// The server told how long it had the request.
    Separate {
        /// On the way, both ways together.
        network: Duration,
        /// From the request's arrival in the server's kernel until its reply was handed back to it.
        server: Duration,
    },
    /// Only the sum is known.
    Combined {
        /// The time between the two packets at this host.
        duration: Duration,
        /// Why the parts are not separate.
        reason: CombinedReason,
    },
}

/// Why the time of the network and the time of the server are not separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CombinedReason {
    /// The reply carries no timing header: the server does not support it, or the request was too long
    /// to carry one.
    NoTimingHeader,
    /// The reply carries a timing header, but the server's kernel did not timestamp the request. This is
    /// usual for the first request on a connection: the server enables timestamps for a socket only when
    /// it reads the first timing header there (docs/protocol.md).
    NoServerTimestamp,
}

/// Why an exchange has no parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakdownError {
    /// The kernel did not stamp one of the packets.
    MissingTimestamp,
    /// A clock was set meanwhile, so the stamps can't be put between the program's.
    ClockWasSet,
    /// The server claims to have had the request for longer than it was away.
    ImpossibleServerTime,
}

/// Puts the kernel's stamps between the program's.
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
    let by_wall =
        received.wall().duration_since(sent.wall()).map_err(|_| BreakdownError::ClockWasSet)?;
    if by_wall.abs_diff(rtt) > CLOCKS_AGREE + rtt / 1000 {
        return Err(BreakdownError::ClockWasSet);
    }
    // All durations count from the program's stamps on the wall clock. Both pairs of readings have the
    // wall clock on the outside, so that what the readings cost is in the first and the last part, and
    // comes off the larger of them.
    let leaving =
        transmitted.duration_since(sent.wall()).map_err(|_| BreakdownError::ClockWasSet)?;
    let between = arrived.duration_since(transmitted).map_err(|_| BreakdownError::ClockWasSet)?;
    let leaving = leaving.min(rtt);
    let between = between.min(rtt.saturating_sub(leaving));
    let receive = rtt.saturating_sub(leaving + between);
    let network_and_server = match timing {
        None => {
            NetworkAndServer::Combined { duration: between, reason: CombinedReason::NoTimingHeader }
        }
        Some(Timing { arrival: ArrivalClock::Program, .. }) => NetworkAndServer::Combined {
            duration: between,
            reason: CombinedReason::NoServerTimestamp,
        },
        Some(Timing { arrival: ArrivalClock::Kernel, server }) => {
            let network =
                between.checked_sub(server).ok_or(BreakdownError::ImpossibleServerTime)?;
            NetworkAndServer::Separate { network, server }
        }
    };
    Ok(Breakdown { send: leaving, network_and_server, receive })
}

impl Breakdown {
    /// The sum of the parts.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.send + self.network_and_server.total() + self.receive
    }
}

impl NetworkAndServer {
    /// The time between the two packets at this host.
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

    fn told(arrival: ArrivalClock, microseconds: u32) -> Timing {
        Timing { arrival, server: MICROSECOND * microseconds }
    }

    /// Sent at 0, on the wire at 1 µs, back at 38 µs, with the program at 73 µs.
    fn exchange(timing: Option<Timing>) -> Result<Breakdown, BreakdownError> {
        let sent = Stamp::just_before();
        let received = sent.later(MICROSECOND * 73);
        let on = |microseconds| Some(sent.wall() + MICROSECOND * microseconds);
        split(sent, on(1), on(38), received, timing)
    }

    #[test]
    fn the_parts_add_up_to_the_rtt() {
        let parts = exchange(None).unwrap();
        assert_eq!((parts.send, parts.receive), (MICROSECOND, MICROSECOND * 35));
        let (duration, reason) = (MICROSECOND * 37, CombinedReason::NoTimingHeader);
        assert_eq!(parts.network_and_server, NetworkAndServer::Combined { duration, reason });
        assert_eq!(parts.total(), MICROSECOND * 73);

        let parts = exchange(Some(told(ArrivalClock::Kernel, 36))).unwrap();
        let (network, server) = (MICROSECOND, MICROSECOND * 36);
        assert_eq!(parts.network_and_server, NetworkAndServer::Separate { network, server });
        assert_eq!(parts.total(), MICROSECOND * 73);
    }

    #[test]
    fn a_server_without_a_kernels_stamp_is_not_told_apart() {
        let parts = exchange(Some(told(ArrivalClock::Program, 2))).unwrap();
        let (duration, reason) = (MICROSECOND * 37, CombinedReason::NoServerTimestamp);
        assert_eq!(parts.network_and_server, NetworkAndServer::Combined { duration, reason });
    }

    #[test]
    fn impossible_times_are_no_figure() {
        assert_eq!(
            exchange(Some(told(ArrivalClock::Kernel, 38))),
            Err(BreakdownError::ImpossibleServerTime)
        );
        assert_eq!(
            exchange(Some(told(ArrivalClock::Kernel, 74))),
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
