//! Platform code of TCP for Linux. Each file explains its mechanism.

mod connect;
mod poller;
mod statistics;

pub(in crate::protocol::tcp) use connect::connect;
pub(in crate::protocol::tcp) use poller::{ConnectPoller, start_to_connect};
#[cfg(fuzzing)]
pub use statistics::decode_any_statistics;
pub(in crate::protocol::tcp) use statistics::statistics;
