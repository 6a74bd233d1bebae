//! The implementation for systems without kernel timestamps.

use super::Received;
use std::convert::Infallible;
use std::io;

/// A receiver with kernel timestamps. No value of this type exists on this system.
#[derive(Debug)]
pub struct TimestampedReceiver(Infallible);

impl TimestampedReceiver {
    /// Returns `None`: kernel timestamps are not available on this system.
    #[must_use]
    pub fn new<S>(_: &S) -> Option<Self> {
        None
    }

    /// Never runs, because no value of this type exists.
    ///
    /// # Errors
    ///
    /// None.
    pub fn receive<S>(&mut self, _: &S, _: &mut [u8]) -> io::Result<Received> {
        match self.0 {}
    }
}
