//! Code that both echo servers share: common command-line options, sockets, logging, worker threads, limits
//! for each source, kernel timestamps, signals, and the protocol of a supervisor such as systemd.
//!
//! This crate does not define what a server does with the data that it receives. The client does not use it.

mod address;
mod cli;
mod counters;
mod descriptors;
mod kernel_timestamps;
mod limits;
mod listen;
mod logging;
mod rate;
mod signals;
mod source;
mod supervisor;
mod workers;

pub use cli::{ServiceArgs, parse_duration, parse_number};
pub use counters::{LogTotals, counters_help};
pub use descriptors::raise_descriptor_limit;
pub use kernel_timestamps::{ArrivalTime, Received, TimestampedReceiver};
pub use limits::{SourceLimit, duration_field, limit_field};
pub use listen::{ListenError, announce, open_tcp_listeners, open_udp_sockets};
pub use logging::{
    LogFormat, LogGuard, escaped_excerpt, log_to_stderr, should_log, should_log_batch,
};
pub use rate::RateLimit;
pub use signals::{SignalError, Signals, catch_signals};
pub use source::{AllowedNetworks, Source};
pub use workers::{StartWorkerError, Worker, WorkerState, run_workers};

#[doc(hidden)]
pub use tracing;
