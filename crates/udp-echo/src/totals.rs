//! The counters of the server.

echo_service::counters! {
    /// The counters of the server. `--help` shows their explanations.
    ///
    /// Each received datagram is counted in exactly one other counter, except `receive_errors`.
    pub struct Totals {
        /// Datagrams that the server received.
        received,
        /// Replies that the system accepted for sending.
        answered,
        /// Datagrams not answered, because --allow does not contain the address of the peer.
        refused_network,
        /// Datagrams not answered, because the source port is the port of a service. Such a service would
        /// answer the reply.
        refused_source_port,
        /// Datagrams not answered, because the source or the destination is not the address of one host
        /// (multicast, broadcast or unspecified).
        refused_non_unicast,
        /// Datagrams not answered, because they circulated between servers until their hop limit was used up.
        refused_server_loop,
        /// Datagrams not answered, because their source exceeded --rate.
        refused_rate_limit,
        /// Datagrams not answered, because the reply does not fit in a datagram.
        reply_too_long,
        /// Replies that the system did not accept for sending, for example because a queue was full.
        replies_not_sent,
        /// Errors of receiving. Most of them are ICMP errors for earlier replies, which the peer no longer
        /// expected.
        receive_errors,
    }
}
