//! TCP: requests and replies on a connection. No framing separates them.

pub(super) mod facts;
mod transport;

use super::Driver;

pub(super) const DRIVER: Driver = Driver { open: transport::open, unconnected: None };
