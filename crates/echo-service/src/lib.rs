//! Code that both echo servers share: command-line options, sockets, logging, worker threads, signals, limits
//! for each source, kernel timestamps, and communication with systemd.
//!
//! The servers themselves process the received data. The client does not use this crate.

mod cli;
mod clock_state;
mod counters;
mod descriptors;
mod kernel_queue;
mod kernel_timestamps;
mod limits;
mod listen;
mod logging;
mod prefix;
mod process;
mod rate;
mod send_queue;
mod signals;
mod source;
mod workers;

pub use cli::{ServiceArgs, parse_arguments, parse_duration, parse_number, service_help};
pub use clock_state::ClockMonitor;
pub use counters::{LogTotals, counters_help};
pub use descriptors::available_descriptors;
pub use kernel_queue::{KERNEL_BUFFER_FACTOR, max_queue_memory};
pub use kernel_timestamps::{ArrivalTime, Received, TimestampedReceiver};
pub use limits::{SourceLimit, duration_field, limit_field};
pub use listen::{
    BindError, ListenError, SocketOperation, announce, open_tcp_listeners, open_udp_sockets,
};
pub use logging::{
    LogFormat, LogGuard, StartLogError, escaped_excerpt, log_to_stderr, should_log,
    should_log_batch,
};
pub use prefix::{Prefix, PrefixLevel};
pub use process::{exit_code, raise_descriptor_limit, runtime};
pub use rate::{RateLimit, UNIT_BYTES, request_units};
pub use send_queue::unacknowledged_bytes;
pub use signals::{SignalError, Signals, catch_signals};
pub use source::{AllowedNetworks, Source};
pub use workers::{
    RunWorkersError, Worker, WorkerFailure, WorkerState, is_permanent_error, run_workers,
};

#[doc(hidden)]
pub use tracing;
