//! The service of an honest client while another source sends as much as it can over many connections.
#![cfg(target_os = "linux")] // The sources are addresses of 127.0.0.0/8, which belong to the host only on Linux.

mod server;

use server::{Server, TIMEOUT};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tcp_echo::{Config, READ_SIZE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

const HOSTILE_SOURCE: &str = "127.0.0.66:0";
const HOSTILE_CONNECTIONS: usize = 256;

/// The size of the reply to one read of the hostile text: the upper case is three times as long.
const HOSTILE_REPLY: u64 = (3 * READ_SIZE) as u64;

const HONEST_REQUESTS: usize = 200;

/// An exchange of the honest client: its RTT, and the bytes that the hostile clients received meanwhile.
struct Exchange {
    rtt: Duration,
    hostile_bytes: u64,
}

fn exchange_requests(address: SocketAddr, hostile_bytes: &AtomicU64) -> Vec<Exchange> {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let exchange = |_| {
        let (start, bytes) = (Instant::now(), hostile_bytes.load(Relaxed));
        client.write_all(b"hello").unwrap();
        let mut reply = [0; 5];
        client.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"HELLO");
        Exchange { rtt: start.elapsed(), hostile_bytes: hostile_bytes.load(Relaxed) - bytes }
    };
    (0..HONEST_REQUESTS).map(exchange).collect()
}

/// Sends expensive text over all hostile connections until `stop` is true. Counts the received bytes.
#[tokio::main(flavor = "current_thread")]
async fn attack(address: SocketAddr, stop: &AtomicBool, bytes: &Arc<AtomicU64>) {
    let text = "\u{390}".repeat(READ_SIZE / 2);
    for _ in 0..HOSTILE_CONNECTIONS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(HOSTILE_SOURCE.parse().unwrap()).unwrap();
        let (mut receive, mut send) = socket.connect(address).await.unwrap().into_split();
        let text = text.clone();
        tokio::spawn(async move { while send.write_all(text.as_bytes()).await.is_ok() {} });
        let bytes = Arc::clone(bytes);
        tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(1..) = receive.read(&mut buffer).await.inspect(|length| {
                bytes.fetch_add(*length as u64, Relaxed);
            }) {}
        });
    }
    while !stop.load(Relaxed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn percentile<T: Ord + Copy>(values: impl Iterator<Item = T>, percent: usize) -> T {
    let mut values: Vec<_> = values.collect();
    values.sort();
    values[values.len() * percent / 100]
}

#[tokio::test]
async fn source_with_256_connections_does_not_delay_an_honest_client() {
    let server = Server::start_with(Config::default());
    let address = server.address;
    let bytes = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let test = tokio::task::spawn_blocking(move || {
        let alone = exchange_requests(address, &bytes);
        let attacked = std::thread::scope(|scope| {
            scope.spawn(|| attack(address, &stop, &bytes));
            // The attack is active when the server has answered a read of each connection.
            let start = Instant::now();
            while bytes.load(Relaxed) < HOSTILE_REPLY * HOSTILE_CONNECTIONS as u64 {
                assert!(start.elapsed() < 6 * TIMEOUT, "the hostile clients receive no replies");
                std::thread::sleep(Duration::from_millis(10));
            }
            let attacked = exchange_requests(address, &bytes);
            stop.store(true, Relaxed);
            attacked
        });
        (alone, attacked)
    });
    let (alone, attacked) = test.await.unwrap();
    for (name, exchanges) in [("alone", &alone), ("attacked", &attacked)] {
        let rtt = |percent| percentile(exchanges.iter().map(|exchange| exchange.rtt), percent);
        println!("{name}: p50 {:?}, p99 {:?}", rtt(50), rtt(99));
    }
    // With one step of each connection in turn, the value would be 256 replies. A fair server sends about one. The
    // bound is much higher, because other programs can delay the honest client while the hostile clients continue.
    let replies = percentile(attacked.iter().map(|e| e.hostile_bytes), 50) / HOSTILE_REPLY;
    println!("hostile replies during an honest exchange: {replies} (median)");
    assert!(replies <= HOSTILE_CONNECTIONS as u64 / 8, "{replies} replies");
    server.shut_down().await;
}
