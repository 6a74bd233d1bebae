//! The server without free file descriptors. This test is alone in its process, because it changes the limit of the
//! process.
#![cfg(unix)]

mod server;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use server::{Server, exchange};
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test]
async fn a_lack_of_descriptors_pauses_accepting_and_the_server_recovers() {
    let server = Server::start();
    let mut first = server.connect().await;
    exchange(&mut first, b"hello", b"HELLO").await;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let highest = std::fs::File::open("/dev/null").unwrap();
    let next = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&highest)).unwrap();
    drop(highest);
    // Nine more descriptors for clients and server together.
    setrlimit(Resource::RLIMIT_NOFILE, next + 9, hard).unwrap();
    let mut waiting: Vec<TcpStream> = Vec::new();
    while let Ok(client) = TcpStream::connect(server.address) {
        waiting.push(client);
        // Time for the server to accept the connection, which takes half of the descriptors.
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
    // With pauses of 5 ms, 10 ms and so on up to 1 s, there are about twelve attempts. A loop without pauses would make
    // a million.
    assert!((1..30).contains(&totals.accept_errors), "{totals:?}");
}
