//! TCP: requests and replies are bytes of a stream. TCP does not mark the boundaries of messages.

pub(super) mod facts;
mod transport;

use super::Driver;

pub(super) const DRIVER: Driver = Driver { open: transport::open, unconnected: None };
