//! What both echo servers need and neither owns: their command line's common part, listening,
//! announcing, logging, the kernel's stamps of what arrives, and ending when the system asks them to.
//!
//! What a server does with what it receives is not here, and neither is anything that the client
//! needs.

mod cli;
mod listen;
mod logging;
mod shutdown;
mod stamps;

pub use cli::{ServiceArgs, parse};
pub use listen::{ListenError, announce, tcp_listeners, udp_sockets};
pub use logging::{escaped_excerpt, is_milestone, log_to_stderr};
pub use shutdown::shutdown_on_signal;
pub use stamps::{Received, Since, StampedReceiver};
