//! The limits of the TCP server. The tests also check that a limit does not affect honest clients.

mod server;

use echo_core::header;
use echo_service::AllowedNetworks;
use server::{Server, TIMEOUT, exchange, read_to_end};
use std::time::{Duration, Instant};
use tcp_echo::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Waits until the server closes the connection or replies. Returns whether it closed the connection.
async fn is_closed(client: &mut TcpStream) -> bool {
    match timeout(TIMEOUT, client.read(&mut [0; 10])).await.expect("the end") {
        Ok(length) => length == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Connects repeatedly until the server serves a connection. The server needs time to detect the end of an earlier
/// connection.
async fn connect_until_served(server: &Server) -> TcpStream {
    for _ in 0..1000 {
        let mut client = server.connect().await;
        if client.write_all(b"x").await.is_ok() && matches!(client.read(&mut [0]).await, Ok(1)) {
            return client;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("the server refuses all connections");
}

/// Connects from a separate source.
#[cfg(target_os = "linux")]
async fn connect_from_other_source(server: &Server) -> TcpStream {
    server.connect_from([127, 0, 0, 2]).await
}

/// Builds a timed request of 44 bytes: the header and four bytes of text.
fn timed_request() -> Vec<u8> {
    let mut request = header::request_header(44).to_vec();
    request.extend_from_slice(b"abcd");
    request
}

#[tokio::test]
async fn connection_above_the_limit_is_closed_until_another_one_ends() {
    let server = Server::start_with(Config { max_connections: 3, ..Config::default() });
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        exchange(&mut client, b"in", b"IN").await;
        clients.push(client);
    }
    assert!(is_closed(&mut server.connect().await).await);
    exchange(&mut clients[0], b"still in", b"STILL IN").await;
    clients.pop();
    let client = connect_until_served(&server).await;
    drop((clients, client));
    let totals = server.shut_down().await;
    assert_eq!(totals.connections, 4);
    assert!(totals.refused_connection_limit >= 1, "{totals:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn source_at_its_connection_limit_does_not_block_other_sources() {
    let config = Config { max_connections_per_source: Some(2), ..Config::default() };
    let server = Server::start_with(config);
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    exchange(&mut one, b"one", b"ONE").await;
    exchange(&mut two, b"two", b"TWO").await;
    assert!(is_closed(&mut server.connect().await).await);
    let mut other = connect_from_other_source(&server).await;
    exchange(&mut other, b"other", b"OTHER").await;
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.refused_source_limit), (3, 1));
}

#[tokio::test]
async fn connection_from_a_network_that_is_not_allowed_is_closed() {
    let allowed = AllowedNetworks::new(vec!["192.0.2.0/24".parse().unwrap()]);
    let server = Server::start_with(Config { allowed, ..Config::default() });
    assert!(is_closed(&mut server.connect().await).await);
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.refused_network), (0, 1));
}

#[tokio::test]
async fn connection_without_requests_is_closed_and_an_active_one_stays_open() {
    // On a loaded machine, the pause between two requests can be much longer than 20 ms.
    let idle_timeout = Duration::from_millis(600);
    let server = Server::start_with(Config { idle_timeout, ..Config::default() });
    let start = Instant::now();
    let mut idle = server.connect().await;
    let mut active = server.connect().await;
    let idle = tokio::spawn(async move {
        assert_eq!(read_to_end(&mut idle).await, b"");
        start.elapsed()
    });
    while start.elapsed() < 3 * idle_timeout {
        exchange(&mut active, b"hello", b"HELLO").await;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(idle.await.unwrap() >= idle_timeout);
    drop(active);
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.closed_idle, totals.closed_stalled), (2, 1, 0));
}

#[tokio::test]
async fn peer_that_never_reads_is_reset_and_does_not_delay_others() {
    let stall_timeout = Duration::from_millis(300);
    let server = Server::start_with(Config { stall_timeout, ..Config::default() });
    let mut not_reading = server.connect().await;
    let mut honest = server.connect().await;
    let not_reading = tokio::spawn(async move {
        // Writes until the server resets the connection.
        let chunk = vec![b'x'; 256 * 1024];
        while timeout(TIMEOUT, not_reading.write_all(&chunk)).await.expect("the end").is_ok() {}
    });
    while !not_reading.is_finished() {
        exchange(&mut honest, b"me too", b"ME TOO").await;
        sleep(Duration::from_millis(5)).await;
    }
    not_reading.await.unwrap();
    drop(honest);
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.closed_stalled, totals.closed_at_shutdown), (2, 1, 0));
}

#[tokio::test]
async fn incomplete_timed_request_causes_a_reset_even_if_bytes_continue_to_arrive() {
    let stall_timeout = Duration::from_millis(300);
    let server = Server::start_with(Config { stall_timeout, ..Config::default() });
    let mut client = server.connect().await;
    // The first request arrives in one segment. The second request arrives byte by byte.
    client.write_all(&timed_request()).await.unwrap();
    let mut reply = [0; 44];
    client.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply[40..], b"ABCD");
    let start = Instant::now();
    for byte in header::request_header(60_000) {
        if client.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert!(is_closed(&mut client).await);
    assert!(start.elapsed() >= stall_timeout);
    assert_eq!(server.shut_down().await.closed_stalled, 1);
}

#[tokio::test]
async fn incomplete_timed_request_is_closed_as_idle() {
    // An idle timeout that is shorter than the stall timeout, and no stall timeout.
    for stall_timeout in [Config::default().stall_timeout, Duration::ZERO] {
        let idle_timeout = Duration::from_millis(300);
        let server =
            Server::start_with(Config { idle_timeout, stall_timeout, ..Config::default() });
        let mut client = server.connect().await;
        client.write_all(&header::request_header(60_000)).await.unwrap();
        let start = Instant::now();
        assert!(is_closed(&mut client).await, "{stall_timeout:?}");
        assert!(start.elapsed() >= idle_timeout / 2, "{stall_timeout:?}");
        let totals = server.shut_down().await;
        assert_eq!((totals.closed_idle, totals.closed_stalled), (1, 0), "{stall_timeout:?}");
    }
}

#[tokio::test]
async fn source_above_its_rate_waits_and_receives_every_reply() {
    let server = Server::start_with(Config { rate: Some(50), ..Config::default() });
    let mut greedy = server.connect().await;
    let start = Instant::now();
    let greedy = tokio::spawn(async move {
        for _ in 0..150 {
            exchange(&mut greedy, b"more", b"MORE").await;
        }
        start.elapsed()
    });
    #[cfg(target_os = "linux")]
    {
        let mut other = connect_from_other_source(&server).await;
        for _ in 0..40 {
            exchange(&mut other, b"me too", b"ME TOO").await;
        }
        assert!(!greedy.is_finished(), "the other source had to wait");
    }
    // The server answers 50 requests immediately, and then 50 per second.
    let elapsed = greedy.await.unwrap();
    assert!(elapsed >= Duration::from_millis(1900), "{elapsed:?}");
    assert!(server.shut_down().await.rate_limited_reads > 0);
}

#[tokio::test]
async fn timed_request_counts_as_one_request() {
    let server = Server::start_with(Config { rate: Some(100), ..Config::default() });
    let mut client = server.connect().await;
    for _ in 0..100 {
        client.write_all(&timed_request()).await.unwrap();
        client.read_exact(&mut [0; 44]).await.unwrap();
    }
    // The number of requests does not exceed the limit for one second, so the server delayed no read.
    drop(client);
    assert_eq!(server.shut_down().await.rate_limited_reads, 0);
}

#[tokio::test]
async fn long_timed_request_counts_as_one_request_for_each_1472_bytes() {
    let length = 60_000;
    let units = u32::try_from(echo_service::request_units(length)).unwrap();
    // With the low rate, the source is in debt for about one second after the long request. A client that is late by less than
    // this time does not change the number of waits.
    for (rate, expected) in [(units / 2, 1), (10 * units, 0)] {
        let server = Server::start_with(Config { rate: Some(rate), ..Config::default() });
        let mut client = server.connect().await;
        let mut request = header::request_header(length).to_vec();
        request.resize(length, b'x');
        let start = Instant::now();
        client.write_all(&request).await.unwrap();
        client.read_exact(&mut vec![0; length]).await.unwrap();
        client.write_all(&timed_request()).await.unwrap();
        timeout(TIMEOUT, client.read_exact(&mut [0; 44])).await.expect("a reply").unwrap();
        assert!(start.elapsed() >= time_for_units(units, rate), "--rate {rate}");
        drop(client);
        assert_eq!(server.shut_down().await.rate_limited_reads, expected, "--rate {rate}");
    }
}

/// The time after which a source with this rate can have used more than `units` units. Its burst is allowed at once.
fn time_for_units(units: u32, rate: u32) -> Duration {
    Duration::from_secs(units.saturating_sub(rate).into()) / rate
}

#[tokio::test]
async fn long_text_counts_as_one_request_for_each_1472_bytes() {
    const RATE: u32 = 20;
    let server = Server::start_with(Config { rate: Some(RATE), ..Config::default() });
    let mut client = server.connect().await;
    // Four or five reads are sufficient for this text, so they would not exceed the limit if each counted as one request.
    // They count for at least 45 requests.
    let start = Instant::now();
    exchange(&mut client, &vec![b'x'; 65_536], &vec![b'X'; 65_536]).await;
    exchange(&mut client, b"x", b"X").await;
    assert!(start.elapsed() >= time_for_units(45, RATE), "{:?}", start.elapsed());
    drop(client);
    assert!(server.shut_down().await.rate_limited_reads > 0);
}

#[tokio::test]
async fn peer_that_reads_slowly_is_not_reset() {
    let stall_timeout = Duration::from_millis(400);
    let server = Server::start_with(Config { stall_timeout, ..Config::default() });
    let client = server.connect().await;
    let (mut receiving, mut sending) = client.into_split();
    let length = 8 << 20;
    let sender = tokio::spawn(async move {
        sending.write_all(&vec![b'x'; length]).await.unwrap();
        sending.shutdown().await.unwrap();
    });
    // The client reads so slowly that the kernel reports space in the server's send buffer less than once per timeout.
    let mut received = 0;
    let mut buffer = vec![0; 128 * 1024];
    let start = Instant::now();
    loop {
        match timeout(TIMEOUT, receiving.read(&mut buffer)).await.expect("more data").unwrap() {
            0 => break,
            length => received += length,
        }
        if start.elapsed() < 5 * stall_timeout {
            sleep(Duration::from_millis(40)).await;
        }
    }
    assert_eq!(received, length);
    sender.await.unwrap();
    assert_eq!(server.shut_down().await.closed_stalled, 0);
}

#[tokio::test]
async fn rate_limited_connection_is_not_closed_as_idle() {
    let idle_timeout = Duration::from_millis(200);
    let server = Server::start_with(Config { rate: Some(1), idle_timeout, ..Config::default() });
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect().await;
        client.write_all(b"x").await.unwrap();
        clients.push(client);
    }
    for client in &mut clients {
        let mut reply = [0];
        timeout(TIMEOUT, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
        assert_eq!(&reply, b"X");
    }
    // On a loaded machine, the source can receive another unit before all requests have arrived.
    let waits = server.shut_down().await.rate_limited_reads;
    assert!((1..=3).contains(&waits), "{waits}");
}

#[tokio::test]
async fn busy_polling_does_not_delay_the_rest_of_a_long_text() {
    let busy_poll = Duration::from_secs(8);
    let server = Server::start_with(Config { busy_poll, ..Config::default() });
    let mut client = server.connect().await;
    let start = Instant::now();
    // The text needs more than one read. The kernel reports no event for the rest of the text.
    exchange(&mut client, &vec![b'x'; 40_000], &vec![b'X'; 40_000]).await;
    assert!(start.elapsed() < busy_poll / 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn busy_polling_server_answers_before_and_after_it_sleeps() {
    let config = Config { busy_poll: Duration::from_millis(20), ..Config::default() };
    let server = Server::start_with(config);
    let mut client = server.connect().await;
    for pause_ms in [0, 0, 1, 5, 50, 0] {
        sleep(Duration::from_millis(pause_ms)).await;
        exchange(&mut client, b"hello", b"HELLO").await;
    }
    drop(client);
    assert_eq!(server.shut_down().await.connections, 1);
}

#[tokio::test]
async fn fin_that_arrives_with_the_request_is_detected() {
    let server = Server::start();
    for _ in 0..200 {
        let mut client = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut client, b"one segment").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        client.set_nonblocking(true).unwrap();
        let mut client = TcpStream::from_std(client).unwrap();
        assert_eq!(read_to_end(&mut client).await, b"ONE SEGMENT");
    }
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.closed_idle, totals.closed_at_shutdown), (200, 0, 0));
}

#[tokio::test]
async fn reply_reports_how_long_its_request_waited_for_the_rate_limit() {
    use echo_core::header::version2::{
        HEADER_LEN, MIN_LEN, ReplyHeader, Requested, parse_reply_header, request_header,
    };
    let server = Server::start_with(Config { rate: Some(20), ..Config::default() });
    let mut client = server.connect().await;
    let mut delays = Vec::new();
    for number in 1..=50_u32 {
        let mut request = request_header(MIN_LEN, Requested::CountsAndTimestamps, 1).to_vec();
        request.extend_from_slice(format!("{number:010}").as_bytes());
        let start = Instant::now();
        client.write_all(&request).await.unwrap();
        let mut reply = [0; MIN_LEN];
        timeout(TIMEOUT, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
        let rtt = start.elapsed();
        let header = reply.first_chunk::<HEADER_LEN>().unwrap();
        let ReplyHeader::Report(report) = parse_reply_header(header, MIN_LEN) else {
            panic!("{}", String::from_utf8_lossy(&reply));
        };
        let counts = report.flow.unwrap();
        assert_eq!((counts.received, counts.sent), (number, number));
        assert!(report.limit_delay <= rtt, "{:?} > {rtt:?}", report.limit_delay);
        delays.push(report.limit_delay);
    }
    // The burst of one second is allowed. Then one request in 50 ms is allowed. If the client is never late, the total is
    // 1.5 s.
    assert_eq!(delays[..15], [Duration::ZERO; 15]);
    let total: Duration = delays.iter().sum();
    assert!(total >= Duration::from_millis(800), "{delays:?}");
    assert!(server.shut_down().await.rate_limited_reads > 0);
}
