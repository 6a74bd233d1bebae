//! [`ConnectionEvent`]: an event in the lifetime of a connection, and its log line.

use super::CloseReason;
use crate::model::condition::Condition;
use crate::model::exchange::Connection;
use std::net::SocketAddr;
use tracing::debug;

/// An event in the lifetime of a connection.
#[derive(Debug)]
pub(super) struct ConnectionEvent {
    /// The address of the peer. The series can have another address when the event is logged.
    pub(super) address: Option<SocketAddr>,
    pub(super) kind: EventKind,
}

/// What happened to a connection.
#[derive(Debug)]
pub(super) enum EventKind {
    Opened { connection: Connection, local: Option<SocketAddr> },
    Failed { connection: Connection, condition: Condition },
    Ended { reason: CloseReason, replies: u64 },
}

impl ConnectionEvent {
    pub(super) fn connection(self) -> Option<Connection> {
        match self.kind {
            EventKind::Opened { connection, .. } | EventKind::Failed { connection, .. } => {
                Some(connection)
            }
            EventKind::Ended { .. } => None,
        }
    }

    pub(super) fn log(&self, protocol: &str) {
        let address = self.address.map(tracing::field::display);
        match &self.kind {
            EventKind::Opened { connection, local } => {
                let took = connection.duration().map(tracing::field::debug);
                let local = local.map(tracing::field::display);
                debug!(protocol, address, local, took, "connection opened");
            }
            EventKind::Failed { condition, .. } => {
                debug!(protocol, address, %condition, "connection not opened");
            }
            EventKind::Ended { reason, replies } => {
                debug!(protocol, address, %reason, replies, "connection ended");
            }
        }
    }
}
