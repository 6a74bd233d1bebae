//! A connection whose requests begin with a timing header: each is answered when it is whole, with how
//! long it was here. `docs/protocol.md` specifies it.

use crate::Config;
use crate::totals::Ended;
use bytes::BytesMut;
use echo_core::header::{self, HEADER_LEN, LONGEST_TIMED};
use echo_service::{Since, StampedReceiver, escaped_excerpt};
use std::{io, time::Instant};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// How much is taken from the connection at once. With a request that is not whole and a reply three
/// times as long, this bounds what a peer can make the server hold: some 340 KiB.
const PIECE: usize = 16 * 1024;

/// Answers the requests on `stream`, of which the first has begun with `inbox`, read at `read`, until the
/// peer has sent all or `shutdown` is cancelled.
pub(crate) async fn converse(
    stream: &mut TcpStream,
    mut inbox: BytesMut,
    read: Instant,
    config: Config,
    shutdown: &CancellationToken,
    carried: &mut Ended,
) -> io::Result<()> {
    let mut receiver = StampedReceiver::new(stream);
    let mut piece = vec![0; PIECE];
    let mut since = Since::Program(read);
    let mut asked_to_end = false;
    loop {
        answer_whole(stream, &mut inbox, since, config, carried).await?;
        match receive(stream, &mut receiver, &mut piece) {
            Ok((0, _)) => return Ok(()),
            Ok((length, arrived)) => {
                carried.bytes_received += length as u64;
                inbox.extend_from_slice(&piece[..length]);
                since = arrived;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if asked_to_end {
                    return Ok(());
                }
                if shutdown.run_until_cancelled(stream.readable()).await.transpose()?.is_none() {
                    // What has arrived is in hand; yielding lets the runtime ask the system what has.
                    asked_to_end = true;
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Answers the requests that have arrived whole. They arrived with the last piece, `since` then.
async fn answer_whole(
    stream: &mut TcpStream,
    inbox: &mut BytesMut,
    since: Since,
    config: Config,
    carried: &mut Ended,
) -> io::Result<()> {
    while inbox.len() >= HEADER_LEN {
        let length = header::asked(inbox)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a malformed header"))?;
        if inbox.len() < length {
            inbox.reserve(LONGEST_TIMED.min(length - inbox.len() + PIECE));
            return Ok(());
        }
        let mut text = inbox.split_to(length);
        if config.show_messages {
            let peer = stream.peer_addr()?;
            tracing::info!(%peer, "{}", escaped_excerpt(&text));
        }
        echo_core::uppercase(&mut text);
        // The last thing before sending: what comes after it counts as the network's.
        let told = header::tell(text.len(), since.timing());
        text[..HEADER_LEN].copy_from_slice(&told);
        stream.write_all(&text).await?;
        carried.bytes_answered += text.len() as u64;
    }
    Ok(())
}

fn receive(
    stream: &TcpStream,
    receiver: &mut Option<StampedReceiver>,
    piece: &mut [u8],
) -> io::Result<(usize, Since)> {
    let Some(receiver) = receiver else {
        let length = stream.try_read(piece)?;
        return Ok((length, Since::Program(Instant::now())));
    };
    let arrived = stream.try_io(Interest::READABLE, || receiver.receive(stream, piece))?;
    Ok((arrived.length, arrived.since))
}
