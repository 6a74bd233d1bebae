//! Systems without kernel timestamps.

use super::Received;
use std::convert::Infallible;
use std::io;

/// Cannot be created on this system.
#[derive(Debug)]
pub struct TimestampedReceiver(Infallible);

impl TimestampedReceiver {
    /// Returns `None`: kernel timestamps are not available on this system.
    #[must_use]
    pub fn new<S>(_: &S) -> Option<Self> {
        None
    }

    /// Cannot be called, because no value of this type exists.
    ///
    /// # Errors
    ///
    /// None.
    pub fn receive<S>(&mut self, _: &S, _: &mut [u8]) -> io::Result<Received> {
        match self.0 {}
    }
}
