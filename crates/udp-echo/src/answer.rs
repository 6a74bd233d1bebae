//! One datagram and its reply.

use crate::{Config, Totals};
use bytes::BytesMut;
use echo_core::header::{self, HEADER_LEN};
use echo_service::{Since, escaped_excerpt, is_milestone};
use std::{io, net::SocketAddr};
use tokio::net::UdpSocket;

/// The most that a datagram carries over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP header.
const LONGEST_REPLY: usize = 65_507;

/// Answers the datagram in `text`, which is here `since` then, in place, and counts what became of it.
/// Returns whether it asked how long that took.
pub(crate) fn answer(
    socket: &UdpSocket,
    peer: SocketAddr,
    text: &mut BytesMut,
    since: Since,
    config: Config,
    totals: &mut Totals,
) -> bool {
    totals.received += 1;
    if config.show_messages {
        tracing::info!(%peer, "{}", escaped_excerpt(text));
    }
    let length = text.len();
    let timed = header::asked(text) == Some(length);
    echo_core::uppercase(text);
    if text.len() > LONGEST_REPLY {
        totals.too_long += 1;
        if is_milestone(totals.too_long) {
            let (count, reply) = (totals.too_long, text.len());
            tracing::warn!(%peer, length, reply, count, "no answer: the reply exceeds a datagram");
        }
        return timed;
    }
    if timed {
        // The last thing before sending: what comes after it counts as the network's.
        let told = header::tell(text.len(), since.timing());
        text[..HEADER_LEN].copy_from_slice(&told);
    }
    // No waiting where the send buffer is full: the peer that filled it would make all others wait too.
    let sent = socket.try_send_to(text, peer).or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Err(error),
        // The error may be an earlier reply's, which the system hands up at the next chance; it has by now.
        _ => socket.try_send_to(text, peer),
    });
    match sent {
        Ok(_) => totals.answered += 1,
        Err(error) => {
            totals.not_sent += 1;
            if is_milestone(totals.not_sent) {
                tracing::warn!(%peer, %error, count = totals.not_sent, "a reply was not sent");
            }
        }
    }
    timed
}
