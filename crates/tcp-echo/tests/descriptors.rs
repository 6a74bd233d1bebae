//! What happens when there is no descriptor left. Alone in its process, whose limit it changes.
#![cfg(unix)]

mod server;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use server::{Server, ask};
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test]
async fn without_a_descriptor_it_neither_spins_nor_dies_and_goes_on_later() {
    let server = Server::start();
    let mut first = server.client().await;
    ask(&mut first, b"hello", b"HELLO").await;
    // Clients that need no more descriptors in this process than they have, and one above the limit.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let highest = std::fs::File::open("/dev/null").unwrap();
    let next = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&highest)).unwrap();
    drop(highest);
    setrlimit(Resource::RLIMIT_NOFILE, next + 9, hard).unwrap();
    let mut waiting: Vec<TcpStream> = Vec::new();
    while let Ok(client) = TcpStream::connect(server.address) {
        waiting.push(client);
        // Half of them are the server's, which takes its share meanwhile.
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!waiting.is_empty() && waiting.len() < 10, "{}", waiting.len());
    sleep(Duration::from_secs(1)).await;
    ask(&mut first, b"still there", b"STILL THERE").await;

    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    let last = waiting.pop().unwrap();
    last.set_nonblocking(true).unwrap();
    let mut last = tokio::net::TcpStream::from_std(last).unwrap();
    ask(&mut last, b"and me", b"AND ME").await;
    drop((first, last, waiting));
    let totals = server.end().await;
    // Rests of 5 ms, 10 ms and so on up to a second: a dozen attempts, where spinning makes a million.
    assert!((1..30).contains(&totals.accept_errors), "{totals:?}");
}
