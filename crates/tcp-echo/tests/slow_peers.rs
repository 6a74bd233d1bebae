//! Peers that read their replies slowly, or send a request slowly: the minimum rate, and the memory of the kernel.

mod server;

use echo_core::header;
use server::{Server, TIMEOUT};
use std::time::{Duration, Instant};
use tcp_echo::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, sleep, timeout};

const STALL: Duration = Duration::from_millis(500);

/// The receive buffer of a slow client. It is small, so that the client does not receive the replies in advance.
const RECEIVE_BUFFER: u32 = 4096;

/// The number of bytes that a peer of modest speed reads in 100 ms: 40 times the minimum rate. On a busy machine, the
/// rate can be much lower for a while.
const MODEST: usize = 4096;

/// The length of a text whose reply is larger than the receive buffer of a slow client, and smaller than the send
/// buffer of the server.
const TEXT: usize = 40_000;

fn config() -> Config {
    Config { stall_timeout: STALL, ..Config::default() }
}

/// Connects with a small receive buffer.
async fn connect(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
    socket.connect(server.address).await.unwrap()
}

/// Writes until the kernel accepts no more data. The server then stores an incomplete reply, and its buffers are full.
async fn fill_buffers(client: &mut TcpStream) {
    let chunk = vec![b'x'; 1 << 16];
    let is_written = |result| matches!(result, Ok(Ok(())));
    while is_written(timeout(Duration::from_millis(100), client.write_all(&chunk)).await) {}
}

/// Reads `bytes` once in each 100 ms, until the server resets the connection or `duration` is over. Returns the time of
/// the reset. The reset does not delete the data in the receive buffer, so the reads can succeed after it.
async fn read_slowly(client: &mut TcpStream, bytes: usize, duration: Duration) -> Option<Duration> {
    let start = Instant::now();
    let mut ticks = interval(Duration::from_millis(100));
    let mut buffer = vec![0; bytes];
    while start.elapsed() < duration {
        ticks.tick().await;
        if client.take_error().unwrap().is_some() {
            return Some(start.elapsed());
        }
        match client.try_read(&mut buffer) {
            Ok(length) => assert!(length > 0, "the server sent a FIN"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
    None
}

#[tokio::test]
async fn peer_that_reads_one_byte_in_100_ms_is_reset_after_the_stall_timeout() {
    let server = Server::start_with(config());
    let mut slow = connect(&server).await;
    fill_buffers(&mut slow).await;
    let reset = read_slowly(&mut slow, 1, TIMEOUT).await.expect("a reset");
    assert!(reset >= STALL / 2, "{reset:?}");
    let totals = server.shut_down().await;
    assert_eq!((totals.closed_stalled, totals.closed_idle), (1, 0), "{totals:?}");
}

/// All replies fit into the kernel's send buffer, so the server stores no reply.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn peer_that_leaves_its_replies_in_the_send_buffer_of_the_kernel_is_reset() {
    let server = Server::start_with(config());
    let mut slow = connect(&server).await;
    slow.write_all(&vec![b'x'; TEXT]).await.unwrap();
    let reset = read_slowly(&mut slow, 1, TIMEOUT).await.expect("a reset");
    assert!(reset >= STALL / 2, "{reset:?}");
    let totals = server.shut_down().await;
    assert_eq!((totals.bytes_answered, totals.closed_stalled), (TEXT as u64, 1), "{totals:?}");
}

/// The server does not read from the connection while it waits for its rate limit. The peer must still take its
/// replies.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn peer_that_waits_for_its_rate_limit_must_take_its_replies() {
    let server = Server::start_with(Config { rate: Some(1), ..config() });
    let mut slow = connect(&server).await;
    let _ = slow.write_all(&vec![b'x'; 10 * TEXT]).await;
    assert!(read_slowly(&mut slow, 1, TIMEOUT).await.is_some(), "no reset");
    let totals = server.shut_down().await;
    assert_eq!(totals.closed_stalled, 1, "{totals:?}");
    assert!(totals.rate_limited_reads > 0, "{totals:?}");
}

#[tokio::test]
async fn peer_that_reads_above_the_minimum_rate_is_not_reset() {
    // On a loaded machine, the peer can stop reading for a while.
    let stall_timeout = 4 * STALL;
    let server = Server::start_with(Config { stall_timeout, ..config() });
    let mut modest = connect(&server).await;
    fill_buffers(&mut modest).await;
    assert_eq!(read_slowly(&mut modest, MODEST, 3 * stall_timeout).await, None);
    drop(modest);
    assert_eq!(server.shut_down().await.closed_stalled, 0);
}

/// If the server released the slot earlier, the kernel would keep the replies of a connection that has no slot.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn connection_keeps_its_slot_until_the_peer_has_taken_all_replies() {
    let server = Server::start_with(Config { max_connections: 1, ..config() });
    let mut slow = connect(&server).await;
    slow.write_all(&vec![b'x'; TEXT]).await.unwrap();
    slow.shutdown().await.unwrap();
    slow.readable().await.unwrap();
    let mut refused = server.connect().await;
    assert_eq!(server::read_to_end(&mut refused).await, b"");
    assert!(read_slowly(&mut slow, 1, TIMEOUT).await.is_some());
    let mut next = server.connect().await;
    server::exchange(&mut next, b"next", b"NEXT").await;
    drop(next);
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.closed_stalled), (2, 1), "{totals:?}");
}

#[tokio::test]
async fn half_closed_connection_ends_when_the_peer_has_taken_all_replies() {
    let server = Server::start_with(Config { max_connections: 1, ..Config::default() });
    for _ in 0..3 {
        // The server closes the previous connection at the last acknowledgement, or one tick later. A tick has one
        // second.
        exchange_when_a_slot_is_free(&server).await;
    }
    let totals = server.shut_down().await;
    let closes = (totals.connections, totals.closed_stalled, totals.closed_with_error);
    assert_eq!(closes, (3, 0, 0), "{totals:?}");
}

/// Repeats the exchange of a text until the server accepts the connection, within [`TIMEOUT`].
async fn exchange_when_a_slot_is_free(server: &Server) {
    let start = Instant::now();
    while !exchange_text_and_fin(server).await {
        assert!(start.elapsed() < TIMEOUT, "the slot is still in use");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Sends a text and the FIN, and reads the reply to its end. Returns whether the server has accepted the connection.
async fn exchange_text_and_fin(server: &Server) -> bool {
    let mut client = connect(server).await;
    // If the server refuses the connection, each of the operations can fail.
    let _ = client.write_all(&vec![b'x'; TEXT]).await;
    let _ = client.shutdown().await;
    let mut reply = Vec::new();
    let _ = timeout(TIMEOUT, client.read_to_end(&mut reply)).await.expect("the end");
    assert!(reply.is_empty() || reply.len() == TEXT, "{} bytes", reply.len());
    !reply.is_empty()
}

/// After a reset, the kernel does not change the number of bytes in its send queue.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn reset_of_a_half_closed_connection_releases_its_slot_at_once() {
    for stall_timeout in [3 * TIMEOUT, Duration::ZERO] {
        let config = Config { max_connections: 1, stall_timeout, ..Config::default() };
        let server = Server::start_with(config);
        let mut client = connect(&server).await;
        client.write_all(&vec![b'x'; TEXT]).await.unwrap();
        client.shutdown().await.unwrap();
        let start = Instant::now();
        // The server has sent its FIN after all replies.
        while !socket_states(&server).contains("LAST-ACK") {
            assert!(start.elapsed() < TIMEOUT, "{}", socket_states(&server));
            sleep(Duration::from_millis(10)).await;
        }
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        exchange_when_a_slot_is_free(&server).await;
        let totals = server.shut_down().await;
        let closes = (totals.connections, totals.closed_with_error, totals.closed_stalled);
        assert_eq!(closes, (2, 1, 0), "{stall_timeout:?}: {totals:?}");
    }
}

/// The states of the connections of a server, as `ss` reports them.
#[cfg(all(target_os = "linux", not(portable)))]
fn socket_states(server: &Server) -> String {
    let filter = format!("sport = :{}", server.address.port());
    let output = std::process::Command::new("ss").args(["-tnH", &filter]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The replies stay in the server, or in its kernel. Before and after the FIN of the peer, no other timeout applies.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn without_a_stall_timeout_a_peer_that_takes_nothing_is_idle() {
    let idle_timeout = 2 * STALL;
    for has_fin in [false, true] {
        let stall_timeout = Duration::ZERO;
        let server =
            Server::start_with(Config { idle_timeout, stall_timeout, ..Config::default() });
        let mut client = connect(&server).await;
        if has_fin {
            client.write_all(&vec![b'x'; TEXT]).await.unwrap();
            client.shutdown().await.unwrap();
        } else {
            fill_buffers(&mut client).await;
        }
        let start = Instant::now();
        while client.take_error().unwrap().is_none() {
            assert!(start.elapsed() < TIMEOUT, "no reset: {has_fin}");
            sleep(Duration::from_millis(10)).await;
        }
        let totals = server.shut_down().await;
        assert_eq!((totals.closed_idle, totals.closed_stalled), (1, 0), "{has_fin}: {totals:?}");
    }
}

#[tokio::test]
async fn without_a_stall_timeout_a_peer_that_takes_some_bytes_is_not_idle() {
    let (idle_timeout, stall_timeout) = (4 * STALL, Duration::ZERO);
    let server = Server::start_with(Config { idle_timeout, stall_timeout, ..Config::default() });
    let mut slow = connect(&server).await;
    fill_buffers(&mut slow).await;
    assert_eq!(read_slowly(&mut slow, MODEST, 3 * idle_timeout).await, None);
    drop(slow);
    assert_eq!(server.shut_down().await.closed_idle, 0);
}

#[tokio::test]
async fn timed_request_that_arrives_above_the_minimum_rate_is_answered_after_any_time() {
    const LENGTH: usize = 40_000;
    let server = Server::start_with(config());
    let mut client = server.connect().await;
    let mut request = header::request_header(LENGTH).to_vec();
    request.resize(LENGTH, b'x');
    let start = Instant::now();
    let mut ticks = interval(Duration::from_millis(50));
    for piece in request.chunks(1000) {
        ticks.tick().await;
        client.write_all(piece).await.unwrap();
    }
    assert!(start.elapsed() > 3 * STALL);
    let mut reply = vec![0; LENGTH];
    timeout(TIMEOUT, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
    assert!(reply.ends_with(b"XXX"));
    drop(client);
    assert_eq!(server.shut_down().await.closed_stalled, 0);
}

/// The memory of the kernel for each connection of a server, as `ss` reports it: names and numbers of bytes. `r` is
/// received data, `rb` its limit, `w` data to send, `tb` its limit, `f` reserved memory, `o` options, `bl` the backlog.
#[cfg(all(target_os = "linux", not(portable)))]
fn socket_memory(server: &Server) -> Vec<Vec<(String, usize)>> {
    let filter = format!("sport = :{}", server.address.port());
    let output = std::process::Command::new("ss").args(["-tmnH", &filter]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let connections = text.split("skmem:(").skip(1).map(|fields| {
        let fields = fields.split(')').next().unwrap().split(',');
        let fields = fields.filter_map(|field| {
            let digits = field.find(|character: char| character.is_ascii_digit())?;
            let (name, value) = field.split_at(digits);
            Some((name.to_owned(), value.parse().unwrap()))
        });
        fields.collect()
    });
    connections.collect()
}

/// The memory of the kernel for the connections of a server: the sum, and the largest value.
#[cfg(all(target_os = "linux", not(portable)))]
fn kernel_memory(server: &Server) -> (usize, usize) {
    let connections = socket_memory(server).into_iter().map(|fields| {
        let used = fields.iter().filter(|(name, _)| ["r", "f", "w", "o", "bl"].contains(&&**name));
        used.map(|(_, bytes)| bytes).sum::<usize>()
    });
    connections.fold((0, 0), |(sum, max), bytes| (sum + bytes, max.max(bytes)))
}

/// systemd opens the listener, and starts the server when a connection arrives.
#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn connection_that_arrives_before_the_start_of_the_server_has_limited_buffers() {
    // The server starts when the test waits for the first time, after the connection.
    let server = Server::start();
    let early = std::net::TcpStream::connect(server.address).unwrap();
    early.set_nonblocking(true).unwrap();
    let mut early = TcpStream::from_std(early).unwrap();
    server::exchange(&mut early, b"early", b"EARLY").await;
    let mut later = server.connect().await;
    server::exchange(&mut later, b"later", b"LATER").await;
    let connections = socket_memory(&server);
    assert_eq!(connections.len(), 2);
    // The kernel doubles the values of the options (socket(7)).
    let limits = [("rb", 2 * tcp_echo::RECEIVE_BUFFER), ("tb", 2 * tcp_echo::SEND_BUFFER)]
        .map(|(name, bytes)| (name.to_owned(), bytes));
    for fields in connections {
        for limit in &limits {
            assert!(fields.contains(limit), "{limit:?}: {fields:?}");
        }
    }
}

#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn kernel_memory_of_256_slow_readers_is_within_its_bound_and_all_of_them_are_reset() {
    use tcp_echo::MAX_KERNEL_MEMORY_PER_CONNECTION;
    const CLIENTS: usize = 256;
    let stall_timeout = Duration::from_secs(3);
    let server = Server::start_with(Config { stall_timeout, ..Config::default() });
    let mut tasks = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = connect(&server).await;
        tasks.push(tokio::spawn(async move {
            fill_buffers(&mut client).await;
            read_slowly(&mut client, 1, TIMEOUT).await
        }));
    }
    let mut max_sum = 0;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let (sum, max) = kernel_memory(&server);
        assert!(max <= MAX_KERNEL_MEMORY_PER_CONNECTION, "{max}");
        max_sum = max_sum.max(sum);
        sleep(Duration::from_millis(100)).await;
    }
    println!("{max_sum} bytes for {CLIENTS} connections");
    // The clients fill the receive buffers of the server, so the test measures full buffers.
    assert!(max_sum > CLIENTS * tcp_echo::RECEIVE_BUFFER, "{max_sum}");
    assert!(max_sum <= CLIENTS * MAX_KERNEL_MEMORY_PER_CONNECTION, "{max_sum}");
    for task in tasks {
        assert!(task.await.unwrap().is_some(), "a slow reader is still connected");
    }
    assert_eq!(server.shut_down().await.closed_stalled, CLIENTS as u64);
}
