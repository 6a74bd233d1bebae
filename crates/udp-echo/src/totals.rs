//! The counters of the server.

echo_service::counters! {
    /// The counters of the server. `--help` shows the doc comment of each counter.
    ///
    /// The server counts each datagram in `received` and in exactly one other counter. `receive_errors` does
    /// not count datagrams.
    pub struct Totals {
        /// Datagrams that the server received.
        received,
        /// Replies that the system accepted for sending.
        answered,
        /// Datagrams not answered, because --allow does not contain the address of the peer.
        refused_network,
        /// Datagrams not answered, because the source port is the port of a service. Such a service could
        /// answer the reply and create a loop.
        refused_source_port,
        /// Datagrams not answered, because the source or the destination is not the address of one host
        /// (multicast, broadcast or unspecified).
        refused_non_unicast,
        /// Datagrams not answered, because they probably circulated between servers until their hop limit
        /// was used up.
        refused_server_loop,
        /// Datagrams not answered, because their source exceeded --rate.
        refused_rate_limit,
        /// Datagrams not answered, because the reply does not fit in a datagram.
        reply_too_long,
        /// Replies that the system did not accept for sending, for example because a queue was full.
        replies_not_sent,
        /// Errors from the receive call, for example an ICMP error: a peer closed its port before the reply
        /// arrived.
        receive_errors,
    }
}
