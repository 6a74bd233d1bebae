//! The time at which a request arrived. If possible, it is a timestamp from the kernel. Otherwise, it is a
//! clock reading of the program.
//!
//! A server enables kernel timestamps only after a client requested timing, because a timestamp costs time for
//! each packet.
//!
//! `linux.rs` uses the kernel's timestamps. `portable.rs` is for other systems, and for Linux with `--cfg
//! portable`. There, kernel timestamps are missing, so the server reports the time since its own clock reading.

#[cfg(all(target_os = "linux", not(portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(portable)))]
pub use linux::TimestampedReceiver;
#[cfg(not(all(target_os = "linux", not(portable))))]
pub use portable::TimestampedReceiver;

use echo_core::header::version2::{ClockState, Report};
use echo_core::header::{ArrivalClock, Timing};
use std::time::{Duration, Instant, SystemTime};

/// The data from one receive call.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// Number of bytes received.
    pub length: usize,
    /// When the bytes arrived.
    pub arrival: ArrivalTime,
}

/// The time at which a request arrived, and the clock that measured it.
#[derive(Debug, Clone, Copy)]
pub enum ArrivalTime {
    /// The kernel's timestamp. It is a reading of the wall clock.
    Kernel(SystemTime),
    /// The time at which the program received the request.
    Program(Instant),
}

impl ArrivalTime {
    /// Computes the report for the header of a reply (version 2): the time from the arrival until now, and the arrival
    /// by the wall clock. The caller adds the counts of the flow.
    #[must_use]
    pub fn report(self, clock: ClockState) -> Report {
        let timing = self.timing();
        let arrival = match self {
            Self::Kernel(arrival) => arrival,
            Self::Program(_) => SystemTime::now() - timing.server,
        };
        Report {
            timing,
            arrival: arrival.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            clock,
            flow: None,
            limit_delay: Duration::ZERO,
        }
    }

    /// Computes the time from the arrival until now, for the timing header of a reply.
    #[must_use]
    pub fn timing(self) -> Timing {
        match self {
            Self::Kernel(arrival) => Timing {
                arrival: ArrivalClock::Kernel,
                // The result is zero if the wall clock was set to a time before the arrival. The server
                // cannot detect other changes of the clock.
                server: SystemTime::now().duration_since(arrival).unwrap_or_default(),
            },
            Self::Program(arrival) => {
                Timing { arrival: ArrivalClock::Program, server: arrival.elapsed() }
            }
        }
    }
}
