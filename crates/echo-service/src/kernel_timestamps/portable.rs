//! Where the kernel can't be asked: there is no such receiver.

use super::Received;
use std::convert::Infallible;
use std::io;

/// Never made here.
#[derive(Debug)]
pub struct TimestampedReceiver(Infallible);

impl TimestampedReceiver {
    /// Nothing: the kernel's stamps are not available on this system.
    #[must_use]
    pub fn new<S>(_: &S) -> Option<Self> {
        None
    }

    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub fn receive<S>(&mut self, _: &S, _: &mut [u8]) -> io::Result<Received> {
        match self.0 {}
    }
}
