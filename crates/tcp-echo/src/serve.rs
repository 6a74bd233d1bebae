//! The server's life: connections are accepted until it is told to end, then those that are open are
//! answered what they have sent.

use crate::Totals;
use crate::answer::answer;
use crate::totals::Ended;
use echo_service::is_milestone;
use std::{io, task::Poll, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;

/// How long accepting rests after an error that will not pass by itself at once, like having no
/// descriptor left: first and longest rest; it doubles in between.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// How long open connections have at the end to be answered what had arrived. A peer that reads takes
/// milliseconds; one that does not would take for ever.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How a server behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Config {
    /// Log each piece of text as it is answered.
    pub show_messages: bool,
}

/// Answers the connections that `listeners` accept until `shutdown` is cancelled; then what open ones
/// have already sent, and returns. No peer and no error ends it earlier.
///
/// # Panics
///
/// Only if the code that answers does.
pub async fn serve(
    listeners: Vec<TcpListener>,
    config: Config,
    shutdown: CancellationToken,
) -> Totals {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(serve_one(listener, config, shutdown.clone()));
    }
    tasks.join_all().await.into_iter().fold(Totals::default(), |mut sum, totals| {
        sum += totals;
        sum
    })
}

async fn serve_one(listener: TcpListener, config: Config, shutdown: CancellationToken) -> Totals {
    let mut totals = Totals::default();
    let mut conversations = JoinSet::new();
    let mut rest = REST.0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = conversations.join_next() => {
                count(ended, &mut totals);
                continue;
            }
            accepted = accept(&listener) => accepted,
        };
        match accepted {
            Ok(stream) => {
                rest = REST.0;
                totals.connections += 1;
                conversations.spawn(answer(stream, config, shutdown.clone()));
            }
            Err(error) => {
                totals.accept_errors += 1;
                if is_milestone(totals.accept_errors) {
                    let count = totals.accept_errors;
                    tracing::warn!(%error, count, "a connection could not be accepted");
                }
                if !concerns_one_connection(&error) {
                    // Waiting, and not trying again at once: the queue stays as it is and the error
                    // would come back.
                    let _ = time::timeout(rest, shutdown.cancelled()).await;
                    rest = (rest * 2).min(REST.1);
                }
            }
        }
    }
    // Connections that the kernel has completed may have brought their request along.
    tokio::task::yield_now().await;
    while let Some(accepted) = accept_at_once(&listener).await {
        match accepted {
            Ok(stream) => {
                totals.connections += 1;
                conversations.spawn(answer(stream, config, shutdown.clone()));
            }
            Err(error) if concerns_one_connection(&error) => totals.accept_errors += 1,
            Err(_) => {
                totals.accept_errors += 1;
                break;
            }
        }
    }
    drop(listener);
    let last_answers = async {
        while let Some(ended) = conversations.join_next().await {
            count(ended, &mut totals);
        }
    };
    if time::timeout(LAST_ANSWERS, last_answers).await.is_err() {
        totals.cut += conversations.len() as u64;
        conversations.shutdown().await;
    }
    totals
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    Ok(stream)
}

/// The next connection, if one has been completed already.
async fn accept_at_once(listener: &TcpListener) -> Option<io::Result<TcpStream>> {
    std::future::poll_fn(|context| match listener.poll_accept(context) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted.map(|(stream, _)| stream))),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Whether only the connection that was to be accepted has failed; accept(2) hands up what happened to
/// it meanwhile.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn count(ended: Result<Ended, tokio::task::JoinError>, totals: &mut Totals) {
    match ended {
        Ok(Ended { bytes_received, bytes_answered, result }) => {
            totals.bytes_received += bytes_received;
            totals.bytes_answered += bytes_answered;
            totals.broken += u64::from(result.is_err());
        }
        Err(error) => {
            if let Ok(panic) = error.try_into_panic() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
