//! The counters of the server.

echo_service::counters! {
    /// The counters of the server. `--help` shows their explanations.
    pub struct Totals {
        /// Connections that the server accepted and served.
        connections,
        /// Connections closed immediately because --allow does not contain the address of the peer.
        refused_network,
        /// Connections closed immediately because all slots of --connections were in use, and no other source had more
        /// connections.
        refused_connection_limit,
        /// Connections closed immediately because their source or its network had reached its limit
        /// (--connections-per-source).
        refused_source_limit,
        /// Failed attempts to accept a connection, for example because the server had no free file descriptor.
        accept_errors,
        /// Connections closed because the peer did not send anything within the time of --idle. With --stall 0, the peer
        /// did not take any part of its replies either.
        closed_idle,
        /// Connections reset because the peer took its replies, or sent a request with a timing header, too slowly
        /// (--stall).
        closed_stalled,
        /// Connections closed because all slots were in use, and a source with fewer connections needed one. The server
        /// closes the connection that was idle longest, of the source with the most connections.
        closed_for_newcomer,
        /// Connections closed after an error. Usually the peer had reset the connection.
        closed_with_error,
        /// Connections closed by the shutdown before their replies were complete.
        closed_at_shutdown,
        /// Number of times that the server paused reading from a connection because its source exceeded --rate.
        rate_limited_reads,
        /// Bytes that the server received.
        bytes_received,
        /// Bytes of replies that the system accepted for sending.
        bytes_answered,
    }
}
