//! A UDP server that answers every datagram with its text in upper case.
//!
//! [`serve`] is the whole of it: it takes sockets that are already bound, and returns the [`Totals`]
//! when it is told to end. The text's upper case is `echo-core`'s; binding, logging and signals are
//! `echo-service`'s; its twin for TCP is `tcp-echo`, which this shares no code with.

mod answer;
mod packets;
mod refusal;
mod serve;
mod totals;

pub use serve::{Config, prepare, serve};
pub use totals::Totals;

/// The port that the service is known by (the lab's choice; not assigned by IANA to it).
pub const DEFAULT_PORT: u16 = 25000;
