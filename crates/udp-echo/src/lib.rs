//! A UDP server that answers each datagram with the same text in upper case.
//!
//! [`serve`] runs the server on sockets that are already bound. It returns the [`Totals`] after a shutdown.
//! The crate `echo-core` converts the text to upper case. The crate `echo-service` opens the sockets, writes
//! the log, and handles signals. The crate `tcp-echo` has the same structure as this one, but the two crates
//! do not depend on each other.

mod admission;
mod datagram_io;
mod refusal;
mod responder;
mod serve;
mod totals;
mod worker;

pub use responder::{MAX_REPLY_IPV4, MAX_REPLY_IPV6};
pub use serve::{Config, ServeError, prepare, serve};
pub use totals::Totals;
pub use worker::SHUTDOWN_TIMEOUT;

/// The default port. The lab defines it; IANA has not assigned it to this service.
pub const DEFAULT_PORT: u16 = 25000;
