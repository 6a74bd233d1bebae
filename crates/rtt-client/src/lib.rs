//! The measuring client of echo-rtt, as a library.
//!
//! Data moves in one direction. [`Settings`] become a validated [`Plan`]. [`run`] resolves the target, opens a
//! transport, sends requests and takes timestamps. It reports each [`Event`] to a [`Report`], which
//! writes it for a person or a program. Pure code concludes everything from the timestamps: payloads,
//! statistics, breakdowns, conditions.

pub mod analysis;
mod capture;
mod engine;
mod event;
mod model;
mod net;
mod plan;
mod protocol;
pub mod report;

pub use analysis::statistics::{
    BreakdownFigures, ColdStart, Distribution, Jitter, Quantile, Summary, TimestampCost,
};
pub use capture::dissect::LayerSizes;
pub use capture::flow::{Flow, FlowSide, PacketRecord};
pub use capture::role::PacketRole;
pub use capture::trace::{Disagreement, ExchangeTiming, Trace, TracedTarget};
pub use engine::{
    FileOperation, RunError, TraceError, compare, diagnose, enter_lab, read_trace, run, trace,
};
pub use event::{
    ComparisonProgress, ComparisonStage, ComparisonStart, Event, FailedAttempt, Progress, Report,
    Start,
};
pub use model::breakdown::{Breakdown, CombinedReason, NetworkAndServer};
pub use model::condition::{Condition, Failure};
pub use model::exchange::{Connection, ConnectionPosition, Exchange, Outcome, UnconnectedResult};
pub use model::icmp::{IcmpError, Origin};
pub use model::protocol::Protocol;
pub use model::target::{Target, TargetError};
pub use model::tcp_info::TcpInfo;
pub use net::resolve::{LocalAddressError, ZoneError, local_address};
pub use net::system::operation::{CaptureOperation, LabOperation};
pub use net::transport::{SocketError, SocketOperation};
pub use plan::{
    ComparisonPlan, ComparisonSettings, Content, DEFAULT_PAIRS, DEFAULT_PAIRS_DURATION,
    DEFAULT_REQUEST_LEN, DiagnosisPlan, Family, Lifetime, MessagePart, Plan, PlanError, Settings,
    TracePlan, TraceSettings,
};
pub use protocol::registry::{PROTOCOLS, protocol_named};
