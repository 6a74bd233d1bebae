//! One connection, from its first byte to its end.

use crate::totals::Ended;
use crate::{Config, timed};
use bytes::BytesMut;
use echo_core::header;
use echo_service::escaped_excerpt;
use std::{io, net::SocketAddr, time::Instant};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_util::sync::CancellationToken;

/// How much is taken from a connection at once. With the reply, [`echo_core::MAX_GROWTH`] times as
/// long, this bounds what a peer that sends and never reads can make the server hold: 64 KiB.
const PIECE: usize = 16 * 1024;

/// Answers what arrives on `stream`, piece by piece, until the peer has sent all; when `shutdown` is
/// cancelled, what has already arrived.
pub(crate) async fn answer(
    stream: TcpStream,
    config: Config,
    shutdown: CancellationToken,
) -> Ended {
    let mut ended = Ended { bytes_received: 0, bytes_answered: 0, result: Ok(()) };
    ended.result = converse(stream, config, &shutdown, &mut ended).await;
    if let Err(error) = &ended.result {
        tracing::debug!(%error, "a connection broke");
    }
    ended
}

async fn converse(
    mut stream: TcpStream,
    config: Config,
    shutdown: &CancellationToken,
    carried: &mut Ended,
) -> io::Result<()> {
    // A reply must not wait for the acknowledgement of the one before it (RFC 896's algorithm).
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let mut upper = echo_core::Stream::default();
    while shutdown.run_until_cancelled(stream.readable()).await.transpose()?.is_some() {
        match answer_arrived(&mut stream, peer, config, &mut upper, carried).await? {
            Arrived::SoFar => {}
            Arrived::All => break,
            Arrived::Timed(piece, read) => {
                timed::converse(&mut stream, piece, read, config, shutdown, carried).await?;
                return stream.shutdown().await;
            }
        }
    }
    // Told to end: what arrived before that is in hand too. Yielding lets the runtime ask the system what
    // has; until it has asked, reading would say that there is nothing.
    if shutdown.is_cancelled() {
        tokio::task::yield_now().await;
        if let Arrived::Timed(piece, read) =
            answer_arrived(&mut stream, peer, config, &mut upper, carried).await?
        {
            timed::converse(&mut stream, piece, read, config, shutdown, carried).await?;
        }
    }
    let begun = upper.finish();
    stream.write_all(&begun).await?;
    carried.bytes_answered += begun.len() as u64;
    stream.shutdown().await
}

/// What has come of what arrived.
enum Arrived {
    /// It has been answered, and there may be more.
    SoFar,
    /// It has been answered, and the peer has sent all.
    All,
    /// The connection begins by asking for timings. What has been read of it, and when.
    Timed(BytesMut, Instant),
}

/// Answers what has arrived, until there is nothing more for the moment.
///
/// The buffer lives only as long as there is something in it, so that a connection which says nothing
/// holds none.
async fn answer_arrived(
    stream: &mut TcpStream,
    peer: SocketAddr,
    config: Config,
    upper: &mut echo_core::Stream,
    carried: &mut Ended,
) -> io::Result<Arrived> {
    let mut piece = BytesMut::with_capacity(PIECE);
    loop {
        piece.clear();
        // A reply that was longer than its piece has left a larger buffer, which must not become the
        // measure of the next piece.
        if piece.capacity() != PIECE {
            piece = BytesMut::with_capacity(PIECE);
        }
        match stream.try_read_buf(&mut piece) {
            Ok(0) => return Ok(Arrived::All),
            Ok(length) => {
                let is_first = carried.bytes_received == 0;
                carried.bytes_received += length as u64;
                if is_first && header::asked(&piece).is_some() {
                    return Ok(Arrived::Timed(piece, Instant::now()));
                }
                if config.show_messages {
                    tracing::info!(%peer, "{}", escaped_excerpt(&piece));
                }
                upper.push(&mut piece);
                stream.write_all(&piece).await?;
                carried.bytes_answered += piece.len() as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Arrived::SoFar),
            Err(error) => return Err(error),
        }
    }
}
