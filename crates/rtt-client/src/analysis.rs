//! Everything that is concluded from measurements. Pure: no clock, no socket.

pub(crate) mod accounting;
pub mod comparison;
pub mod diagnosis;
pub mod evidence;
pub(crate) mod request_tracker;
pub(crate) mod statistics;
