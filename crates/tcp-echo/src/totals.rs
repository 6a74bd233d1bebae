//! The counters of the server.

echo_service::counters! {
    /// The counters of the server. `--help` shows their explanations.
    pub struct Totals {
        /// Connections that the server accepted and served.
        connections,
        /// Connections closed at once, because --allow does not contain the address of the peer.
        refused_network,
        /// Connections closed at once, because the number of open connections had reached --connections.
        refused_connection_limit,
        /// Connections closed at once, because their source had reached --connections-per-source.
        refused_source_limit,
        /// Connections that the server could not accept, for example because it had no free file descriptor.
        accept_errors,
        /// Connections closed because the peer sent nothing for the time of --idle.
        closed_idle,
        /// Connections reset because, for the time of --stall, the peer did not read its replies or did not complete a
        /// timed request.
        closed_stalled,
        /// Connections closed after an error, in most cases a reset by the peer.
        closed_with_error,
        /// Connections closed by the shutdown before their replies were complete.
        closed_at_shutdown,
        /// Number of times that the server stopped reading from a connection, because its source exceeded --rate.
        rate_limited_reads,
        /// Bytes that the server received.
        bytes_received,
        /// Bytes of replies that the system accepted for sending.
        bytes_answered,
    }
}
