//! The measuring client of echo-rtt, as a library.
//!
//! Data flows one way. A command line (or a caller) makes [`Settings`] into a validated [`Plan`]; [`run`]
//! resolves its target, opens a transport, sends, waits and stamps; what happened goes, as [`Event`]s,
//! to a [`Report`] that writes it for a person or a program. What is judged (loads, the ledger,
//! statistics, breakdowns, conditions) is judged by pure code, from what was stamped.
//!
//! A protocol is one file under `transport/` and one row of [`PROTOCOLS`]; nothing else asks which
//! protocol it is. What only some systems can do is in `system/`. Argument parsing stays in the binary;
//! the servers are other crates, which this one does not know.

mod breakdown;
mod capture_file;
mod condition;
pub mod evidence;
pub mod finding;
mod icmp;
pub mod judgement;
mod ledger;
mod load;
mod outcome;
mod pace;
mod packet;
mod plan;
pub mod report;
mod resolve;
mod session;
mod statistics;
mod system;
mod target;
mod trace;
mod traced;
mod transport;
mod words;

pub use breakdown::{Breakdown, Middle};
pub use condition::{Condition, Failure};
pub use icmp::{Icmp, Origin};
pub use outcome::{Connection, Exchange, Outcome, Unconnected};
pub use plan::{
    Content, Contest, ContestSettings, Diagnosis, Family, Lifetime, Plan, PlanError, Settings,
    Tracing,
};
pub use report::{Event, Report};
pub use session::{RunError, TraceError, compare, diagnose, enter_lab, read_trace, run, trace};
pub use statistics::{Distribution, Jitter, Parts, Summary};
pub use system::TcpInfo;
pub use target::{Target, TargetError};
pub use transport::{PROTOCOLS, Protocol, SocketError, protocol_named};
