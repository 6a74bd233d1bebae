//! The memory of the process for its connections. This file contains only one test, because the test measures the memory
//! of its process.
#![cfg(target_os = "linux")]

mod server;

use echo_core::header;
use server::{Server, exchange};
use tcp_echo::{MAX_PROCESS_MEMORY_PER_CONNECTION, MAX_TIMED_REQUEST_SIZE};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

const CLIENTS: usize = 256;

/// The receive buffer of a client in bytes. It is small, so that the server must store the reply.
const RECEIVE_BUFFER: u32 = 4096;

/// The memory of this process that belongs to no file, in bytes (`proc_pid_smaps(5)`).
fn anonymous_memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

/// A timed request of the maximum size. Its reply has nearly three times its size.
fn longest_request() -> Vec<u8> {
    let mut request = header::request_header(MAX_TIMED_REQUEST_SIZE).to_vec();
    let text = MAX_TIMED_REQUEST_SIZE - request.len();
    request.extend("\u{390}".repeat(text / 2).bytes());
    request.resize(MAX_TIMED_REQUEST_SIZE, b'x');
    request
}

#[tokio::test]
async fn process_memory_of_256_slow_readers_is_within_its_bound() {
    assert_eq!(MAX_PROCESS_MEMORY_PER_CONNECTION.div_ceil(1024), 273);
    let server = Server::start();
    let mut other = server.connect().await;
    exchange(&mut other, b"hello", b"HELLO").await;
    let request = longest_request();
    let mut clients = Vec::with_capacity(CLIENTS);
    let before = anonymous_memory();
    let mut max_growth = 0;
    for _ in 0..CLIENTS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
        let mut client = socket.connect(server.address).await.unwrap();
        client.write_all(&request).await.unwrap();
        client.write_all(&request[..MAX_TIMED_REQUEST_SIZE - 1]).await.unwrap();
        // The worker sends a part of the reply, and stores the rest before it answers the other client.
        client.readable().await.unwrap();
        exchange(&mut other, b"and me", b"AND ME").await;
        clients.push(client);
        max_growth = max_growth.max(anonymous_memory().saturating_sub(before));
    }
    println!("{} bytes for each of {CLIENTS} connections", max_growth / CLIENTS);
    // The server stores a part of each reply, so the test measures connections that need memory.
    assert!(max_growth > CLIENTS * MAX_TIMED_REQUEST_SIZE, "{max_growth}");
    assert!(max_growth <= CLIENTS * MAX_PROCESS_MEMORY_PER_CONNECTION, "{max_growth}");
    drop((clients, other));
    server.shut_down().await;
}
