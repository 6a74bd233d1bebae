//! The limits of the TCP server, each by itself; and that honest clients are not hit by them.

mod server;

use echo_core::header;
use echo_service::AllowedNetworks;
use server::{PATIENCE, Server, ask, read_to_end};
use std::time::{Duration, Instant};
use tcp_echo::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Whether the server has closed it without a word.
async fn is_closed(client: &mut TcpStream) -> bool {
    match timeout(PATIENCE, client.read(&mut [0; 10])).await.expect("an end") {
        Ok(length) => length == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Waits until the server lets a connection in again, which it does once it has seen another one end.
async fn let_in(server: &Server) -> TcpStream {
    for _ in 0..1000 {
        let mut client = server.client().await;
        if client.write_all(b"x").await.is_ok() && matches!(client.read(&mut [0]).await, Ok(1)) {
            return client;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody is let in any more");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_and_room_is_found_again() {
    let server = Server::start_with(Config { connections: 3, ..Config::default() });
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.client().await;
        ask(&mut client, b"in", b"IN").await;
        clients.push(client);
    }
    assert!(is_closed(&mut server.client().await).await);
    ask(&mut clients[0], b"still in", b"STILL IN").await;
    clients.pop();
    let client = let_in(&server).await;
    drop((clients, client));
    let totals = server.end().await;
    assert_eq!(totals.connections, 4);
    assert!(totals.refused_in_all >= 1, "{totals:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_source_does_not_take_all_connections() {
    let config = Config { connections_per_source: Some(2), ..Config::default() };
    let server = Server::start_with(config);
    let (mut one, mut two) = (server.client().await, server.client().await);
    ask(&mut one, b"one", b"ONE").await;
    ask(&mut two, b"two", b"TWO").await;
    assert!(is_closed(&mut server.client().await).await);
    // All of 127.0.0.0/8 is this machine's.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(server.address).await.unwrap();
    ask(&mut other, b"other", b"OTHER").await;
    let totals = server.end().await;
    assert_eq!((totals.connections, totals.refused_of_source), (3, 1));
}

#[tokio::test]
async fn who_is_not_allowed_is_closed_at_once() {
    let allowed = AllowedNetworks::new(vec!["192.0.2.0/24".parse().unwrap()]);
    let server = Server::start_with(Config { allowed, ..Config::default() });
    assert!(is_closed(&mut server.client().await).await);
    let totals = server.end().await;
    assert_eq!((totals.connections, totals.refused_network), (0, 1));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_and_one_that_talks_is_not() {
    let idle = Duration::from_millis(300);
    let server = Server::start_with(Config { idle, ..Config::default() });
    let mut silent = server.client().await;
    let mut talking = server.client().await;
    let begun = Instant::now();
    let silent = tokio::spawn(async move {
        assert_eq!(read_to_end(&mut silent).await, b"");
        begun.elapsed()
    });
    while begun.elapsed() < 3 * idle {
        ask(&mut talking, b"hello", b"HELLO").await;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(silent.await.unwrap() >= idle);
    drop(talking);
    let totals = server.end().await;
    assert_eq!((totals.connections, totals.idle, totals.stalled), (2, 1, 0));
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_and_nobody_waits_for_it() {
    let stall = Duration::from_millis(300);
    let server = Server::start_with(Config { stall, ..Config::default() });
    let mut glutton = server.client().await;
    let mut honest = server.client().await;
    let glutton = tokio::spawn(async move {
        // Until it is reset.
        let chunk = vec![b'x'; 256 * 1024];
        while timeout(PATIENCE, glutton.write_all(&chunk)).await.expect("an end").is_ok() {}
    });
    while !glutton.is_finished() {
        ask(&mut honest, b"me too", b"ME TOO").await;
        sleep(Duration::from_millis(5)).await;
    }
    glutton.await.unwrap();
    drop(honest);
    let totals = server.end().await;
    assert_eq!((totals.connections, totals.stalled, totals.cut), (2, 1, 0));
}

#[tokio::test]
async fn a_message_that_does_not_end_is_cut_however_it_drips() {
    let stall = Duration::from_millis(300);
    let server = Server::start_with(Config { stall, ..Config::default() });
    let mut client = server.client().await;
    // The first message of a connection comes in one piece; the second one takes its time.
    let mut request = header::request_header(44).to_vec();
    request.extend_from_slice(b"abcd");
    client.write_all(&request).await.unwrap();
    let mut reply = [0; 44];
    client.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply[40..], b"ABCD");
    let begun = Instant::now();
    for byte in header::request_header(60_000) {
        if client.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert!(is_closed(&mut client).await);
    assert!(begun.elapsed() >= stall);
    assert_eq!(server.end().await.stalled, 1);
}

#[tokio::test]
async fn a_source_beyond_its_rate_waits_and_loses_nothing() {
    let server = Server::start_with(Config { rate: Some(50), ..Config::default() });
    let mut greedy = server.client().await;
    let begun = Instant::now();
    let greedy = tokio::spawn(async move {
        for _ in 0..150 {
            ask(&mut greedy, b"more", b"MORE").await;
        }
        begun.elapsed()
    });
    #[cfg(target_os = "linux")]
    {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(server.address).await.unwrap();
        for _ in 0..40 {
            ask(&mut other, b"me too", b"ME TOO").await;
        }
        assert!(!greedy.is_finished(), "the other one has not waited for it");
    }
    // Fifty at once, and fifty a second.
    let took = greedy.await.unwrap();
    assert!(took >= Duration::from_millis(1900), "{took:?}");
    assert!(server.end().await.delayed > 0);
}

#[tokio::test]
async fn a_request_counts_once_however_it_comes() {
    let server = Server::start_with(Config { rate: Some(100), ..Config::default() });
    let mut request = header::request_header(44).to_vec();
    request.extend_from_slice(b"abcd");
    let mut client = server.client().await;
    for _ in 0..100 {
        client.write_all(&request).await.unwrap();
        client.read_exact(&mut [0; 44]).await.unwrap();
    }
    // As many at once as a second's worth: nothing has waited.
    drop(client);
    assert_eq!(server.end().await.delayed, 0);
}

#[tokio::test]
async fn who_reads_slowly_is_not_cut() {
    let stall = Duration::from_millis(400);
    let server = Server::start_with(Config { stall, ..Config::default() });
    let client = server.client().await;
    let (mut reading, mut writing) = client.into_split();
    let length = 8 << 20;
    let writer = tokio::spawn(async move {
        writing.write_all(&vec![b'x'; length]).await.unwrap();
        writing.shutdown().await.unwrap();
    });
    // So slowly that the system tells the server of room only once in several times the limit.
    let mut read = 0;
    let mut piece = vec![0; 128 * 1024];
    let begun = Instant::now();
    loop {
        match timeout(PATIENCE, reading.read(&mut piece)).await.expect("more").unwrap() {
            0 => break,
            length => read += length,
        }
        if begun.elapsed() < 5 * stall {
            sleep(Duration::from_millis(40)).await;
        }
    }
    assert_eq!(read, length);
    writer.await.unwrap();
    assert_eq!(server.end().await.stalled, 0);
}

#[tokio::test]
async fn what_waits_for_its_rate_is_not_idle() {
    let idle = Duration::from_millis(200);
    let server = Server::start_with(Config { rate: Some(2), idle, ..Config::default() });
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.client().await;
        client.write_all(b"x").await.unwrap();
        clients.push(client);
    }
    for client in &mut clients {
        let mut reply = [0];
        timeout(PATIENCE, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
        assert_eq!(&reply, b"X");
    }
    assert_eq!(server.end().await.delayed, 2);
}

#[tokio::test]
async fn looking_again_and_again_holds_nothing_up() {
    let busy_poll = Duration::from_secs(8);
    let server = Server::start_with(Config { busy_poll, ..Config::default() });
    let mut client = server.client().await;
    let begun = Instant::now();
    // More than is read at once: the rest needs no telling.
    ask(&mut client, &vec![b'x'; 40_000], &vec![b'X'; 40_000]).await;
    assert!(begun.elapsed() < busy_poll / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn looking_again_and_again_answers_as_well() {
    let config = Config { busy_poll: Duration::from_millis(20), ..Config::default() };
    let server = Server::start_with(config);
    let mut client = server.client().await;
    for pause in [0, 0, 1, 5, 50, 0] {
        sleep(Duration::from_millis(pause)).await;
        ask(&mut client, b"hello", b"HELLO").await;
    }
    drop(client);
    assert_eq!(server.end().await.connections, 1);
}

#[tokio::test]
async fn the_end_of_a_peer_that_comes_with_its_request_is_seen() {
    let server = Server::start();
    for _ in 0..200 {
        let mut client = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut client, b"all at once").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        client.set_nonblocking(true).unwrap();
        let mut client = TcpStream::from_std(client).unwrap();
        assert_eq!(read_to_end(&mut client).await, b"ALL AT ONCE");
    }
    let totals = server.end().await;
    assert_eq!((totals.connections, totals.idle, totals.cut), (200, 0, 0));
}
