//! The timing of an exchange: the capture's times beside the program's measurement.

use super::Sample;
use crate::model::breakdown::Breakdown;
use crate::model::format::signed_nanoseconds;
use std::fmt;
use std::time::Duration;

/// The tolerance between the capture's times (wall clock) and the program's RTT (monotonic clock): the
/// cost of two clock readings, and the wall clock's adjustment.
const CLOCK_TOLERANCE: Duration = Duration::from_micros(2);

/// The tolerance between two kernel timestamps of one packet. The kernel takes one when it hands the
/// packet to the capture, and the other when the interface takes the packet or when it notices the
/// arrival.
const KERNEL_TIMESTAMP_TOLERANCE: Duration = Duration::from_micros(20);

/// The timing of an exchange.
#[derive(Debug, Clone)]
pub(crate) struct ExchangeTiming {
    /// The number of the exchange, from 1.
    pub(crate) exchange: u64,
    /// The time between the request packet and the reply packet. `None` if one of them was not captured.
    pub(crate) wire_rtt: Option<Duration>,
    /// The RTT that the program measured. `None` for a file, and for an exchange without a reply.
    pub(crate) program_rtt: Option<Duration>,
    pub(crate) breakdown: Option<Breakdown>,
    pub(crate) disagreement: Option<Disagreement>,
}

/// Two measurements of an exchange that differ by more than their tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disagreement {
    /// The program measured less time than passed between the packets.
    ClockWasSet,
    /// The kernel's timestamps of the breakdown and those of the capture differ.
    KernelTimestamps { difference: Duration },
}

impl ExchangeTiming {
    pub(super) fn new(exchange: u64, wire_rtt: Option<Duration>, sample: Option<&Sample>) -> Self {
        let program_rtt = sample.and_then(|sample| sample.rtt);
        let breakdown = sample.and_then(|sample| sample.breakdown);
        let disagreement =
            wire_rtt.and_then(|wire_rtt| disagreement(wire_rtt, program_rtt, breakdown));
        Self { exchange, wire_rtt, program_rtt, breakdown, disagreement }
    }

    /// The time inside this host, in nanoseconds: the program's RTT minus the time between the packets.
    /// It is negative if the two clocks disagree.
    pub(crate) fn host_time_ns(&self) -> Option<i64> {
        Some(signed_nanoseconds(self.program_rtt?) - signed_nanoseconds(self.wire_rtt?))
    }
}

fn disagreement(
    wire_rtt: Duration,
    program_rtt: Option<Duration>,
    breakdown: Option<Breakdown>,
) -> Option<Disagreement> {
    if program_rtt.is_some_and(|program_rtt| program_rtt + CLOCK_TOLERANCE < wire_rtt) {
        return Some(Disagreement::ClockWasSet);
    }
    let outside_host = breakdown?.network_and_server.total();
    let difference = outside_host.abs_diff(wire_rtt);
    (difference > KERNEL_TIMESTAMP_TOLERANCE)
        .then_some(Disagreement::KernelTimestamps { difference })
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockWasSet => f.write_str(
                "the program measured less time than passed between the packets: a clock was set",
            ),
            Self::KernelTimestamps { difference } => {
                let microseconds = difference.as_secs_f64() * 1e6;
                write!(
                    f,
                    "the kernel timestamps of the breakdown differ from those of the capture by \
                     {microseconds:.1} µs"
                )
            }
        }
    }
}
