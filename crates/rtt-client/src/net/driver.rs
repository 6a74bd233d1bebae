//! [`Driver`]: the functions of a protocol that use sockets. Each protocol defines its driver in its folder.

use super::transport::{OpenAttempt, OpenConfig, SocketError};
use crate::analysis::evidence::Measurement;
use crate::model::exchange::UnconnectedResult;
use crate::plan::Plan;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

/// The functions of a protocol that use sockets.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Opens a transport to a peer.
    pub(crate) open: fn(SocketAddr, OpenConfig<'_>) -> Result<OpenAttempt, SocketError>,
    /// Sends a request from a socket without a connected peer. `None` if the protocol has no such sockets.
    pub(crate) unconnected: Option<UnconnectedProbe>,
    /// The experiments that explain the RTT of the protocol. A comparison runs them for each side that uses the protocol.
    pub(crate) experiments: &'static [Experiment],
    /// The driver of the handshakes of the protocol's connections ([`Protocol::handshake`]).
    ///
    /// [`Protocol::handshake`]: crate::model::protocol::Protocol::handshake
    pub(crate) handshake: Option<&'static Driver>,
}

/// Sends one request from a socket that is not connected, and waits for a reply or an error. The arguments are
/// the peer, the configuration of the socket and the request.
pub(crate) type UnconnectedProbe =
    fn(SocketAddr, &OpenConfig<'_>, &[u8]) -> io::Result<UnconnectedResult>;

/// An experiment. It measures durations that explain the RTT of a protocol.
#[derive(Debug)]
pub(crate) struct Experiment {
    /// The name for progress messages: `requests in two writes`.
    pub(crate) name: &'static str,
    /// Whether the result is the same for every target. A comparison then runs the experiment only once.
    pub(crate) is_independent_of_target: bool,
    /// Whether the experiment needs an echo server. If so, it does not run for requests to another service.
    pub(crate) needs_echo_server: bool,
    /// Runs the experiment.
    pub(crate) run: fn(&ExperimentContext<'_>) -> Result<Vec<Measurement>, SocketError>,
}

/// The target of an experiment.
pub(crate) struct ExperimentContext<'a> {
    /// The plan of the side.
    pub(crate) plan: &'a Plan,
    /// The address of the server.
    pub(crate) address: SocketAddr,
    /// Whether the server reports its processing time. Only a server of this project does.
    pub(crate) has_timing_header: bool,
    /// The experiment ends early when this flag is set.
    pub(crate) stop: &'a AtomicBool,
}
