//! Carries a plan out: decides when to send, and processes what arrives.

mod channel;
mod clock_cost;
mod comparison;
mod diagnosis;
mod run;
mod series;
mod trace;

pub use comparison::compare;
pub use diagnosis::diagnose;
pub use run::{RunError, run};
pub use trace::{TraceError, enter_lab, read_trace, trace};
