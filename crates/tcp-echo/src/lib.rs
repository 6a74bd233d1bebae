//! A TCP server that answers what arrives on a connection with its text in upper case, as it arrives.
//!
//! [`serve`] is the whole of it: it takes listeners that are already bound, and returns the [`Totals`]
//! when it is told to end. The text's upper case is `echo-core`'s; binding, logging and signals are
//! `echo-service`'s; its twin for UDP is `udp-echo`, which this shares no code with.

#![forbid(unsafe_code)]

mod acceptor;
mod admission;
mod bounds;
mod connection;
mod poller;
mod room;
mod serve;
mod timed;
mod totals;
mod worker;

pub use serve::{Config, serve};
pub use totals::Totals;

/// The port that the service is known by (the lab's choice; not assigned by IANA to it).
pub const DEFAULT_PORT: u16 = 12000;
