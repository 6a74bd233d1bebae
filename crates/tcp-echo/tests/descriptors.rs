//! The server without free file descriptors. This file contains only one test, because the test changes a limit of its
//! process.
#![cfg(unix)]

mod server;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use server::{Server, exchange};
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test]
async fn server_without_free_descriptors_pauses_and_recovers() {
    let server = Server::start();
    let mut first = server.connect().await;
    exchange(&mut first, b"hello", b"HELLO").await;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let highest = std::fs::File::open("/dev/null").unwrap();
    let next = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&highest)).unwrap();
    drop(highest);
    // The clients and the server share nine more descriptors.
    setrlimit(Resource::RLIMIT_NOFILE, next + 9, hard).unwrap();
    let mut waiting: Vec<TcpStream> = Vec::new();
    while let Ok(client) = TcpStream::connect(server.address) {
        waiting.push(client);
        // Gives the server time to accept the connection. The accepted connection needs a descriptor too.
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!waiting.is_empty() && waiting.len() < 10, "{}", waiting.len());
    sleep(Duration::from_secs(1)).await;
    exchange(&mut first, b"still there", b"STILL THERE").await;

    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    let last = waiting.pop().unwrap();
    last.set_nonblocking(true).unwrap();
    let mut last = tokio::net::TcpStream::from_std(last).unwrap();
    exchange(&mut last, b"and me", b"AND ME").await;
    drop((first, last, waiting));
    let totals = server.shut_down().await;
    // The pauses double from 5 ms, so there are about eight attempts in one second. Without pauses, there would be many
    // thousands.
    assert!((1..30).contains(&totals.accept_errors), "{totals:?}");
}
