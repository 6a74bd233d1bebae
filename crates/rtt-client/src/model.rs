//! The vocabulary that all other modules share: protocols, targets, exchanges, failures. Pure.

pub(crate) mod breakdown;
pub(crate) mod condition;
pub(crate) mod exchange;
pub(crate) mod format;
pub(crate) mod headers;
pub(crate) mod icmp;
pub(crate) mod protocol;
pub(crate) mod target;
pub(crate) mod tcp_info;
pub(crate) mod traffic;
