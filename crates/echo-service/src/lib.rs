//! What both echo servers need and neither owns: their command line's common part, listening,
//! announcing, logging, the workers and who is answered how often, the kernel's stamps of what arrives, and
//! what operators and supervisors ask of a running server.
//!
//! What a server does with what it receives is not here, and neither is anything that the client
//! needs.

mod cli;
mod descriptors;
mod kernel_timestamps;
mod listen;
mod logging;
mod rate;
mod signals;
mod source;
mod supervisor;
mod workers;

pub use cli::{ServiceArgs, parse_command_line, parse_duration, parse_number};
pub use descriptors::raise_descriptor_limit;
pub use kernel_timestamps::{ArrivalTime, Received, TimestampedReceiver};
pub use listen::{ListenError, announce, open_tcp_listeners, open_udp_sockets};
pub use logging::{
    LogFormat, LogGuard, escaped_excerpt, log_to_stderr, should_log, should_log_batch,
};
pub use rate::RateLimit;
pub use signals::{Signals, catch_signals};
pub use source::{AllowedNetworks, Source};
pub use workers::{LogTotals, Worker, WorkerState, run_workers};
