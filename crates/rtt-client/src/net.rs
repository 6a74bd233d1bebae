//! Access to the network: name resolution, the interface between the engine and the protocols, and platform
//! code.

pub(crate) mod resolve;
pub(crate) mod socket;
pub(crate) mod system;
pub(crate) mod transport;
