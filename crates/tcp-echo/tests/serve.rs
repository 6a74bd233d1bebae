//! Tests of the TCP server with real sockets: replies, hostile peers, and the shutdown.

mod server;

use echo_core::header::{self, ArrivalClock, HEADER_LEN, ReplyHeader, Timing};
use server::{Server, TIMEOUT, exchange, read_to_end};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn reply_starts_before_the_request_ends() {
    let server = Server::start();
    let mut client = server.connect().await;
    exchange(&mut client, b"first, ", b"FIRST, ").await;
    exchange(&mut client, b"then", b"THEN").await;
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await, b"");
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.bytes_received, totals.bytes_answered), (1, 11, 11));
    assert_eq!((totals.closed_with_error, totals.closed_at_shutdown), (0, 0));
}

#[tokio::test]
async fn character_split_over_two_segments_is_converted() {
    let server = Server::start();
    let mut client = server.connect().await;
    exchange(&mut client, b"caf\xc3", b"CAF").await;
    exchange(&mut client, b"\xa9 stra\xc3\x9f", "É STRASS".as_bytes()).await;
    // The request ends with an incomplete character. The reply contains its bytes unchanged.
    client.write_all(b"\xe2\x82").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await, b"\xe2\x82");
}

#[tokio::test]
async fn whole_reply_arrives_after_a_half_close() {
    let server = Server::start();
    let mut client = server.connect().await;
    let request = "ein größerer Text, der wächst: ŉ ΐ. ".repeat(20_000);
    let (mut receiving, mut sending) = client.split();
    let send = async {
        sending.write_all(request.as_bytes()).await.unwrap();
        sending.shutdown().await.unwrap();
    };
    let mut reply = Vec::new();
    let both = async { tokio::join!(send, receiving.read_to_end(&mut reply)).1.unwrap() };
    timeout(TIMEOUT, both).await.unwrap();
    assert!(reply == request.to_uppercase().as_bytes());
}

#[tokio::test]
async fn server_stops_reading_from_a_peer_that_does_not_read() {
    let server = Server::start();
    let mut not_reading = server.connect().await;
    // The client sends until the buffers of the kernel are full. The server stores the reply to one read, and does not
    // read again.
    let chunk = vec![b'x'; 256 * 1024];
    let mut sent = 0;
    while let Ok(written) = timeout(Duration::from_millis(300), not_reading.write(&chunk)).await {
        sent += written.unwrap();
        // 32 MiB is more than the send and receive buffers of both sides hold together: on Linux at most
        // 2 × (4 + 6) MiB (tcp(7)).
        assert!(sent < 32 << 20, "the server continues to read");
    }
    let mut other = server.connect().await;
    exchange(&mut other, b"me too", b"ME TOO").await;
    drop(other);
    // The shutdown closes the first connection after a limited time.
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.closed_at_shutdown), (2, 1));
}

#[tokio::test]
async fn connections_that_end_at_any_stage_do_not_stop_the_server() {
    let server = Server::start();
    for number in 0..60 {
        let mut client = server.connect().await;
        match number % 4 {
            0 => {}
            1 => client.write_all(b"never read").await.unwrap(),
            2 => exchange(&mut client, b"read", b"READ").await,
            _ => {
                client.write_all(b"reset with the reply unread").await.unwrap();
                client.shutdown().await.unwrap();
            }
        }
        if number % 2 == 0 {
            // A linger time of zero makes the close send a reset instead of a FIN.
            #[expect(deprecated, reason = "a close with a linger time of zero does not block")]
            client.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    let mut client = server.connect().await;
    exchange(&mut client, b"still there", b"STILL THERE").await;
    drop(client);
    assert_eq!(server.shut_down().await.connections, 61);
}

/// Builds a request: a timing header and then `text`.
fn timed_request(text: &str) -> Vec<u8> {
    let mut request = header::request_header(HEADER_LEN + text.len()).to_vec();
    request.extend_from_slice(text.as_bytes());
    request
}

/// Reads a timed reply, asserts its text, and returns its timing.
async fn read_timed_reply(client: &mut TcpStream, expected: &str) -> Timing {
    let mut reply = vec![0; HEADER_LEN + expected.len()];
    timeout(TIMEOUT, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
    assert_eq!(&reply[HEADER_LEN..], expected.as_bytes());
    match header::parse_reply_header(reply.first_chunk().unwrap(), reply.len()) {
        ReplyHeader::Timed(timing) => timing,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&reply)),
    }
}

#[tokio::test]
async fn timed_replies_contain_the_timing_of_the_server() {
    let server = Server::start();
    let mut client = server.connect().await;
    for number in 0..20 {
        client.write_all(&timed_request("größer, ŉ")).await.unwrap();
        let timing = read_timed_reply(&mut client, "GRÖSSER, ʼN").await;
        assert!(timing.server < TIMEOUT, "{timing:?}");
        // The kernel starts to take timestamps some milliseconds after the first timed request.
        if cfg!(all(target_os = "linux", not(portable))) && number > 10 {
            assert_eq!(timing.arrival, ArrivalClock::Kernel, "{number}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The first segment contains two complete requests and the start of a third one. Two more segments contain the
    // rest.
    let request = timed_request("abc");
    client.write_all(&[&request[..], &request, &request[..7]].concat()).await.unwrap();
    read_timed_reply(&mut client, "ABC").await;
    read_timed_reply(&mut client, "ABC").await;
    client.write_all(&request[7..41]).await.unwrap();
    client.write_all(&request[41..]).await.unwrap();
    read_timed_reply(&mut client, "ABC").await;
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await, b"");
    assert_eq!(server.shut_down().await.closed_with_error, 0);
}

#[tokio::test]
async fn connection_is_timed_only_if_it_starts_with_a_complete_header() {
    let server = Server::start();
    let mut client = server.connect().await;
    let request = timed_request("abc");
    // The server treats half a header as text, and answers it immediately.
    exchange(&mut client, &request[..20], &request[..20].to_ascii_uppercase()).await;
    exchange(&mut client, &request[20..], &request[20..].to_ascii_uppercase()).await;
    // The connection remains a text connection.
    exchange(&mut client, &request, &request.to_ascii_uppercase()).await;

    let mut malformed = server.connect().await;
    malformed.write_all(&timed_request("abc")).await.unwrap();
    read_timed_reply(&mut malformed, "ABC").await;
    malformed.write_all(&[b'x'; HEADER_LEN]).await.unwrap();
    let mut rest = Vec::new();
    // The connection may end with a reset, because the server has not read all data.
    let _ = timeout(TIMEOUT, malformed.read_to_end(&mut rest)).await.expect("the end");
    assert_eq!(rest, b"");
    drop((client, malformed));
    assert_eq!(server.shut_down().await.closed_with_error, 1);
}

#[tokio::test]
async fn peers_that_send_invalid_data_do_not_delay_another_client() {
    let server = Server::start();
    let mut other = server.connect().await;
    let mut hostile = Vec::new();
    for _ in 0..20 {
        // The server returns invalid UTF-8 unchanged. It waits for the end of an incomplete character.
        let mut text = server.connect().await;
        exchange(&mut text, b"a\xff\xc0\x80\xed\xa0\x80b", b"A\xff\xc0\x80\xed\xa0\x80B").await;
        text.write_all(b"\xf0\x9f\xa6").await.unwrap();
        exchange(&mut other, b"after text", b"AFTER TEXT").await;

        let mut malformed = server.connect().await;
        malformed.write_all(&timed_request("abc")).await.unwrap();
        read_timed_reply(&mut malformed, "ABC").await;
        malformed.write_all(&[b'\xff'; HEADER_LEN]).await.unwrap();
        exchange(&mut other, b"after a header", b"AFTER A HEADER").await;
        hostile.push((text, malformed));
    }
    for (text, malformed) in &mut hostile {
        text.shutdown().await.unwrap();
        assert_eq!(read_to_end(text).await, b"\xf0\x9f\xa6");
        // The connection may end with a reset.
        let mut rest = Vec::new();
        let _ = timeout(TIMEOUT, malformed.read_to_end(&mut rest)).await.expect("the end");
        assert_eq!(rest, b"");
    }
    drop((other, hostile));
    let totals = server.shut_down().await;
    assert_eq!((totals.connections, totals.closed_with_error), (41, 20), "{totals:?}");
}

#[tokio::test]
async fn each_of_many_clients_receives_its_own_reply() {
    let server = Server::start();
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = server.connect().await;
        client.write_all(format!("client {number}").as_bytes()).await.unwrap();
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.shutdown().await.unwrap();
        assert_eq!(read_to_end(client).await, format!("CLIENT {number}").as_bytes());
    }
}

#[tokio::test]
async fn shutdown_answers_connections_that_are_not_accepted_yet() {
    let server = Server::start();
    // The test does not yield to the server's task on this thread. So the server starts after the shutdown request.
    let clients: Vec<_> = (0..100)
        .map(|number| {
            let mut client = std::net::TcpStream::connect(server.address).unwrap();
            std::io::Write::write_all(&mut client, format!("client {number}").as_bytes()).unwrap();
            client
        })
        .collect();
    assert_eq!(server.shut_down().await.connections, 100);
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut reply = String::new();
        std::io::Read::read_to_string(&mut client, &mut reply).unwrap();
        assert_eq!(reply, format!("CLIENT {number}"));
    }
}

#[tokio::test]
async fn shutdown_answers_requests_that_have_arrived() {
    let server = Server::start();
    let mut idle = server.connect().await;
    exchange(&mut idle, b"hello", b"HELLO").await;
    let mut busy = server.connect().await;
    exchange(&mut busy, b"one ", b"ONE ").await;
    // The test does not yield between this request and the shutdown.
    busy.try_write(b"and two").unwrap();
    let totals = server.shut_down().await;
    assert_eq!(read_to_end(&mut busy).await, b"AND TWO");
    assert_eq!(read_to_end(&mut idle).await, b"");
    assert_eq!(totals.bytes_received, 16);
    assert_eq!((totals.closed_with_error, totals.closed_at_shutdown), (0, 0));
}

#[tokio::test]
async fn shutdown_delivers_all_replies_to_a_peer_that_continues_to_send() {
    let server = Server::start();
    let mut client = server.connect().await;
    let length = 300_000;
    client.write_all(&vec![b'x'; length]).await.unwrap();
    let shutdown = tokio::spawn(server.shut_down());
    // The client sends more data while replies are in flight. It must receive all replies and then the FIN, not a
    // reset.
    let mut received = 0;
    let mut buffer = vec![0; 4096];
    loop {
        let _ = client.write_all(b"and more").await;
        match timeout(TIMEOUT, client.read(&mut buffer)).await.expect("the end") {
            Ok(0) => break,
            Ok(length) => received += length,
            Err(error) => panic!("{error} after {received} bytes"),
        }
    }
    assert!(received >= length, "{received}");
    drop(client);
    assert_eq!(shutdown.await.unwrap().closed_at_shutdown, 0);
}
