//! The measuring client of echo-rtt, as a library.
//!
//! Data flows one way. A command line (or a caller) makes a validated [`Plan`]; [`run`] resolves its
//! target, opens a transport, sends, waits and stamps; what happened goes, as [`Event`]s, to a
//! [`Report`] that writes it for a person or a program. What is judged (statistics, conditions) is
//! judged by pure functions of what was stamped.
//!
//! A protocol is one file under `transport/` and one row of [`PROTOCOLS`]; nothing else asks which
//! protocol it is. Argument parsing stays in the binary; the servers are other crates, which this one
//! does not know.

mod condition;
mod outcome;
mod plan;
pub mod report;
mod resolve;
mod session;
mod statistics;
mod target;
mod transport;
mod verify;

pub use condition::{Condition, Failure};
pub use outcome::{Connection, Exchange, Outcome};
pub use plan::{Family, Plan, PlanError};
pub use report::{Event, Report};
pub use session::{RunError, run};
pub use statistics::{Distribution, Summary};
pub use target::{Target, TargetError};
pub use transport::{PROTOCOLS, Protocol, SocketError, protocol_named};
