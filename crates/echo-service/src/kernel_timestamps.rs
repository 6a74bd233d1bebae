//! When the kernel received something: asked for once a client wants to know how long the server had
//! its request, and not before, because it costs every packet something.
//!
//! `linux.rs` asks the kernel; `portable.rs` is what other systems get, and Linux too when built with
//! `--cfg portable`: no stamps, so that a server tells its own reading of the clock instead.

#[cfg(all(target_os = "linux", not(portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(portable)))]
pub use linux::TimestampedReceiver;
#[cfg(not(all(target_os = "linux", not(portable))))]
pub use portable::TimestampedReceiver;

use echo_core::header::{ArrivalClock, Timing};
use std::time::{Instant, SystemTime};

/// What was received.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// How many bytes.
    pub length: usize,
    /// When.
    pub arrival: ArrivalTime,
}

/// The moment at which a request arrived.
#[derive(Debug, Clone, Copy)]
pub enum ArrivalTime {
    /// In the kernel, by the wall clock.
    Kernel(SystemTime),
    /// In the program.
    Program(Instant),
}

impl ArrivalTime {
    /// How long ago that is, in the words of a reply's header.
    #[must_use]
    pub fn timing(self) -> Timing {
        match self {
            Self::Kernel(arrived) => Timing {
                arrival: ArrivalClock::Kernel,
                // A clock that was set back makes it nothing, which the client finds too short to
                // matter; it can't be told from this side.
                server: SystemTime::now().duration_since(arrived).unwrap_or_default(),
            },
            Self::Program(arrived) => {
                Timing { arrival: ArrivalClock::Program, server: arrived.elapsed() }
            }
        }
    }
}
