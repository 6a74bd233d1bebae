//! Measures round-trip times (RTTs) to echo servers and hosts, and explains them. This library is the measuring part of
//! the program `rtt-client`.
//!
//! Data moves in one direction:
//!
//! 1. [`Settings`] and a [`Target`] become a validated [`Plan`].
//! 2. [`run`] resolves the target, opens a transport, sends requests and takes timestamps.
//! 3. Pure code computes everything else from the timestamps: statistics, breakdowns, conclusions.
//! 4. `run` passes each [`Event`] to a [`Report`]. The report writes the event for people or for programs. The
//!    module [`report`] contains reports as text, JSON and CSV.
//!
//! [`compare`], [`diagnose`] and [`trace`] work in the same way, with a [`ComparisonPlan`], a [`DiagnosisPlan`]
//! and a [`TracePlan`]. [`list_protocols`] reports the facts about the protocols.
//!
//! # Examples
//!
//! Three exchanges with an echo server:
//!
//! ```
//! use rtt_client::{Event, Plan, Report, Settings, protocol_named, run};
//! use std::net::UdpSocket;
//! use std::sync::atomic::AtomicBool;
//! use std::{io, thread};
//!
//! /// A report that ignores all events. `run` also returns the summary.
//! struct Silent;
//!
//! impl Report for Silent {
//!     fn event(&mut self, _: &Event<'_>) -> io::Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // An echo server on a free port. It converts ASCII letters to upper case.
//! let server = UdpSocket::bind("127.0.0.1:0")?;
//! let target = server.local_addr()?.to_string().parse()?;
//! thread::spawn(move || {
//!     let mut message = [0; 1500];
//!     while let Ok((length, client)) = server.recv_from(&mut message) {
//!         message.make_ascii_uppercase();
//!         let _ = server.send_to(&message[..length], client);
//!     }
//! });
//!
//! let udp = protocol_named("udp").expect("UDP is a registered protocol");
//! let plan = Plan::new(udp, target, Settings::series(3))?;
//! let stop = AtomicBool::new(false);
//! let summary = run(&plan, &mut Silent, &stop)?;
//!
//! assert_eq!((summary.sent, summary.received, summary.lost), (3, 3, 0));
//! let median = summary.rtt.median().expect("three replies arrived");
//! println!("median RTT: {median:?}");
//! # Ok(())
//! # }
//! ```

pub mod analysis;
mod capture;
mod engine;
mod event;
mod model;
mod net;
mod plan;
mod protocol;
pub mod report;

pub use analysis::delay_variation::{DelayClocks, DelayVariation, OneWayDelays};
pub use analysis::loss_attribution::{LossCounts, LossRange};
pub use analysis::outages::Outages;
pub use analysis::schedule::SlowHost;
pub use analysis::statistics::{
    AddressChanges, BreakdownFigures, ColdStart, Distribution, HandshakeRetransmissions, Jitter,
    Quantile, Replacements, Summary, TimestampCost,
};
pub use capture::dissect::LayerSizes;
pub use capture::flow::{Flow, FlowSide, PacketRecord};
pub use capture::role::PacketRole;
pub use capture::trace::{Disagreement, ExchangeTiming, Trace, TracedTarget};
#[cfg(fuzzing)]
pub use engine::{
    AnyMessage, explain_as_measurement, receive_any_messages, receive_any_service_messages,
};
pub use engine::{
    FileOperation, OutputFile, OutputFileError, RunError, TraceError, compare, diagnose,
    end_with_this_thread, enter_lab, list_protocols, read_trace, remove_unfinished_files, run,
    trace,
};
pub use event::{
    AddressLimit, ComparisonProgress, ComparisonStage, ComparisonStart, Event, FailedAttempt,
    Progress, Report, Start,
};
pub use model::address_change::{AddressChange, AddressChangeReason};
pub use model::address_resolution::{AddressResolution, ContainedIn};
pub use model::breakdown::{Breakdown, CombinedReason, NetworkAndServer};
pub use model::condition::{Condition, Failure};
pub use model::exchange::{
    CompletedPhase, Connection, ConnectionPosition, Exchange, Outcome, PhaseDuration,
    Retransmitted, UnconnectedResult,
};
pub use model::expected_server::ExpectedServer;
pub use model::failure_context::{FailureContext, VersionOption};
pub use model::hop_limit::{Distance, ReplyTtl};
pub use model::icmp::{IcmpError, Origin};
pub use model::loss_place::{LossPlace, LossReason};
pub use model::outage::Outage;
pub use model::protocol::{
    DisplayAddress, Framing, IpNumbers, Phase, Protocol, ReplyForm, Responder,
};
pub use model::receive_queue::ReceiveQueue;
pub use model::replacement::{Replacement, ReplacementEvidence, ReplacementReason};
pub use model::service::{Identifier, ReplyEnd, ReplyRule, ReplyStart, Service, Signature};
pub use model::target::{Target, TargetError};
pub use model::traffic::KernelStatistics;
pub use net::resolve::{LocalAddressError, ZoneError, local_address};
#[cfg(all(fuzzing, target_os = "linux", not(portable)))]
pub use net::system::handle_any_netlink_datagram;
pub use net::system::operation::{CaptureOperation, LabOperation};
pub use net::transport::{SocketError, SocketOperation};
pub use plan::{
    ComparisonPlan, ComparisonSettings, Content, CustomRequest, DEFAULT_HOST, DEFAULT_PAIRS,
    DEFAULT_PAIRS_DURATION, DEFAULT_REQUEST_LEN, DEFAULT_TIMEOUT, DiagnosisPlan, EchoForm, Family,
    Lifetime, MessagePart, Plan, PlanError, SWEEP_SIZES, Settings, TracePlan, TraceSettings,
};
#[cfg(all(fuzzing, target_os = "linux", not(portable)))]
pub use protocol::decode_any_statistics;
#[cfg(fuzzing)]
pub use protocol::receive_any_icmp_packet;
pub use protocol::registry::{PROTOCOLS, default_pair, protocol_named, protocols_with_servers};
