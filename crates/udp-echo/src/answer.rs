//! One datagram and its reply.

use crate::{Config, Totals};
use bytes::BytesMut;
use echo_service::{escaped_excerpt, is_milestone};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{net::UdpSocket, time};

/// The most that a datagram carries over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP header.
const LONGEST_REPLY: usize = 65_507;

/// How long a reply waits for room in the socket's send buffer. The buffer empties at the speed of the
/// interface: if it has not in this time, the reply would come too late to be of use.
const PATIENCE: Duration = Duration::from_millis(100);

/// Answers the datagram in `text`, in place, and counts what became of it.
pub(crate) async fn answer(
    socket: &UdpSocket,
    peer: SocketAddr,
    text: &mut BytesMut,
    config: Config,
    totals: &mut Totals,
) {
    totals.received += 1;
    if config.show_messages {
        tracing::info!(%peer, "{}", escaped_excerpt(text));
    }
    let length = text.len();
    echo_core::uppercase(text);
    if text.len() > LONGEST_REPLY {
        totals.too_long += 1;
        if is_milestone(totals.too_long) {
            let (count, reply) = (totals.too_long, text.len());
            tracing::warn!(%peer, length, reply, count, "no answer: the reply exceeds a datagram");
        }
        return;
    }
    match send(socket, peer, text).await {
        Ok(()) => totals.answered += 1,
        Err(error) => {
            totals.not_sent += 1;
            if is_milestone(totals.not_sent) {
                tracing::warn!(%peer, %error, count = totals.not_sent, "a reply was not sent");
            }
        }
    }
}

async fn send(socket: &UdpSocket, peer: SocketAddr, reply: &[u8]) -> io::Result<()> {
    let sent = match socket.try_send_to(reply, peer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            time::timeout(PATIENCE, socket.send_to(reply, peer))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
        sent => sent,
    };
    sent.map(|_| ())
}
