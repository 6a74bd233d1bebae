//! The vocabulary that every other module shares: protocols, targets, exchanges, failures. Pure data.

pub(crate) mod breakdown;
pub(crate) mod condition;
pub(crate) mod exchange;
pub(crate) mod format;
pub(crate) mod icmp;
pub(crate) mod protocol;
pub(crate) mod target;
pub(crate) mod tcp_info;
pub(crate) mod traffic;
