//! [`ConnectionEvent`]: an event in the lifetime of a connection, and its log line.

use super::CloseReason;
use crate::model::condition::Condition;
use crate::model::exchange::Connection;
use std::net::SocketAddr;
use tracing::debug;

/// An event in the lifetime of a connection.
#[derive(Debug)]
pub(super) enum ConnectionEvent {
    Opened { connection: Connection, local: Option<SocketAddr> },
    Failed { connection: Connection, condition: Condition },
    Ended { reason: CloseReason, replies: u64 },
}

impl ConnectionEvent {
    pub(super) fn connection(self) -> Option<Connection> {
        match self {
            Self::Opened { connection, .. } | Self::Failed { connection, .. } => Some(connection),
            Self::Ended { .. } => None,
        }
    }

    pub(super) fn log(&self, protocol: &str, address: Option<SocketAddr>) {
        let address = address.map(tracing::field::display);
        match self {
            Self::Opened { connection, local } => {
                let took = connection.duration().map(tracing::field::debug);
                let local = local.map(tracing::field::display);
                debug!(protocol, address, local, took, "connection opened");
            }
            Self::Failed { condition, .. } => {
                debug!(protocol, address, %condition, "connection not opened");
            }
            Self::Ended { reason, replies } => {
                debug!(protocol, address, %reason, replies, "connection ended");
            }
        }
    }
}
