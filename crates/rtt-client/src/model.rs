//! The types that all other modules share: protocols, targets, exchanges, failures (pure: no I/O, no clock).

pub(crate) mod address_change;
pub(crate) mod address_resolution;
pub(crate) mod breakdown;
pub(crate) mod condition;
pub(crate) mod exchange;
pub(crate) mod expected_server;
pub(crate) mod failure_context;
pub(crate) mod format;
pub(crate) mod headers;
pub(crate) mod hop_limit;
pub(crate) mod icmp;
pub(crate) mod loss_place;
pub(crate) mod outage;
pub(crate) mod protocol;
pub(crate) mod receive_queue;
pub(crate) mod received_text;
pub(crate) mod replacement;
pub(crate) mod service;
pub(crate) mod target;
pub(crate) mod traffic;
