//! Runs a plan: opens sockets, determines when to send, and processes what arrives.
//!
//! [`run`] measures one target, [`compare`] compares two, [`diagnose`] examines an absent server, and
//! [`trace`] captures packets. All of them except [`diagnose`] use a [`series`], the exchanges with one address.

mod channel;
mod comparison;
mod diagnosis;
mod protocols;
mod run;
mod series;
#[cfg(test)]
mod test_transport;
mod trace;

pub use comparison::compare;
pub use diagnosis::diagnose;
pub use protocols::list_protocols;
pub use run::{RunError, run};
pub use trace::{FileOperation, TraceError, enter_lab, read_trace, trace};

use std::time::Duration;

/// The minimum time between two progress events.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
