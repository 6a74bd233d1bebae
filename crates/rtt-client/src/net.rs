//! Access to the network: name resolution, sockets, the trait that every protocol implements, and platform code.

pub(crate) mod connectionless;
pub(crate) mod datagram_counter;
pub(crate) mod driver;
pub(crate) mod failure;
pub(crate) mod limitation;
pub(crate) mod resolve;
pub(crate) mod socket;
pub(crate) mod system;
pub(crate) mod transport;
