//! Executes a plan: opens sockets, decides when to send, and processes what arrives.
//!
//! [`run`] measures one target, [`compare`] compares two, [`diagnose`] examines an absent server, and
//! [`trace`] captures packets. [`series`] is the common part: the exchanges with one address.

mod channel;
mod clock_cost;
mod comparison;
mod diagnosis;
mod run;
mod series;
#[cfg(test)]
mod test_transport;
mod trace;

pub use comparison::compare;
pub use diagnosis::diagnose;
pub use run::{RunError, run};
pub use trace::{FileOperation, TraceError, enter_lab, read_trace, trace};
