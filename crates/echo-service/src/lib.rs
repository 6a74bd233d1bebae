//! What both echo servers need and neither owns: their command line's common part, listening,
//! announcing, logging, the workers and who is answered how often, the kernel's stamps of what arrives, and
//! what operators and supervisors ask of a running server.
//!
//! What a server does with what it receives is not here, and neither is anything that the client
//! needs.

mod cli;
mod descriptors;
mod listen;
mod logging;
mod orders;
mod rate;
mod source;
mod stamps;
mod supervisor;
mod workers;

pub use cli::{ServiceArgs, duration, number, parse};
pub use descriptors::raise_descriptor_limit;
pub use listen::{ListenError, announce, tcp_listeners, udp_sockets};
pub use logging::{
    Log, LogFormat, escaped_excerpt, is_milestone, log_to_stderr, reaches_milestone,
};
pub use orders::{Orders, orders_from_signals};
pub use rate::RateLimit;
pub use source::{Allowed, Source};
pub use stamps::{Received, Since, StampedReceiver};
pub use workers::{Sheet, Tell, Worker, work};
