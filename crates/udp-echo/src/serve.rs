//! The server's life: datagrams are taken from every socket until it is told to end, then those that
//! have already arrived are answered.

use crate::Totals;
use crate::answer::answer;
use crate::receive::Inbox;
use echo_service::is_milestone;
use std::{io, time::Duration};
use tokio::{net::UdpSocket, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

/// How many datagrams one socket takes in a row before it lets the others, and the end, have a turn.
const BATCH: usize = 64;

/// How long a socket rests that gave nothing but errors for a whole batch.
const REST: Duration = Duration::from_millis(10);

/// How long datagrams that arrived before the end are answered at most. A receive buffer holds some
/// hundred; only a flood that goes on could take this long.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How a server behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Config {
    /// Log each message as it is answered.
    pub show_messages: bool,
}

/// Answers what arrives at `sockets` until `shutdown` is cancelled; then what has already arrived, and
/// returns. No datagram and no error that a socket hands up ends it earlier.
///
/// # Panics
///
/// Only if the code that answers does.
pub async fn serve(sockets: Vec<UdpSocket>, config: Config, shutdown: CancellationToken) -> Totals {
    let mut tasks = JoinSet::new();
    for socket in sockets {
        tasks.spawn(serve_one(socket, config, shutdown.clone()));
    }
    tasks.join_all().await.into_iter().fold(Totals::default(), |mut sum, totals| {
        sum += totals;
        sum
    })
}

async fn serve_one(socket: UdpSocket, config: Config, shutdown: CancellationToken) -> Totals {
    let mut totals = Totals::default();
    // A new socket counts as not writable until the runtime has asked; an error here comes again below.
    let _ = socket.writable().await;
    let mut inbox = Inbox::new(socket);
    while shutdown.run_until_cancelled(inbox.socket.readable()).await.is_some() {
        let Taken { errors, .. } = take(&mut inbox, config, &mut totals).await;
        if errors == BATCH {
            time::sleep(REST).await;
        }
    }
    let last_answers = async {
        // Lets the runtime ask the system what has arrived; until it has, receiving would say: nothing.
        tokio::task::yield_now().await;
        while !take(&mut inbox, config, &mut totals).await.all {}
    };
    if time::timeout(LAST_ANSWERS, last_answers).await.is_err() {
        tracing::warn!("more datagrams arrived than could be answered at the end");
    }
    totals
}

struct Taken {
    /// Nothing is left: the socket has to be waited for.
    all: bool,
    errors: usize,
}

/// Takes what has arrived, a batch at most, and answers it.
async fn take(inbox: &mut Inbox, config: Config, totals: &mut Totals) -> Taken {
    let mut errors = 0;
    for _ in 0..BATCH {
        match inbox.take() {
            Ok((peer, since)) => {
                if answer(&inbox.socket, peer, &mut inbox.text, since, config, totals) {
                    inbox.stamp();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Taken { all: true, errors };
            }
            Err(error) => {
                // An ICMP error for an earlier reply (ECONNREFUSED; on Windows WSAECONNRESET) says
                // nothing about this socket.
                errors += 1;
                totals.receive_errors += 1;
                if is_milestone(totals.receive_errors) {
                    let count = totals.receive_errors;
                    tracing::debug!(%error, count, "the socket handed up an error");
                }
            }
        }
    }
    tokio::task::yield_now().await;
    Taken { all: false, errors }
}
