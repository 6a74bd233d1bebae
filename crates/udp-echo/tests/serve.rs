//! Tests of the UDP server with real sockets: its replies, its behaviour after errors, and its shutdown.

mod server;

use echo_core::header::{self, ArrivalClock, HEADER_LEN, ReplyHeader};
use server::{Server, TIMEOUT, exchange, receive};
use std::time::Duration;
use tokio::net::UdpSocket;
use udp_echo::Config;

#[tokio::test]
async fn datagrams_of_every_length_are_answered() {
    let server = Server::start();
    let client = server.connect().await;
    for length in [0, 1, 32, 1472, 1473, 9000, echo_core::MAX_UDP_PAYLOAD_IPV4] {
        assert_eq!(exchange(&client, &vec![b'a'; length]).await, vec![b'A'; length]);
    }
    let reply = exchange(&client, "größe ŉ\0".as_bytes()).await;
    assert_eq!(reply, "GRÖSSE ʼN\0".as_bytes());
    let totals = server.shut_down().await;
    assert_eq!((totals.received, totals.answered), (8, 8));
}

#[tokio::test]
async fn invalid_utf8_is_answered_unchanged() {
    let server = Server::start();
    let client = server.connect().await;
    // Every byte except lower-case letters. In descending order, the bytes above ASCII form no character.
    let noise: Vec<u8> = (0..=255).rev().filter(|byte: &u8| !byte.is_ascii_lowercase()).collect();
    assert_eq!(exchange(&client, &noise).await, noise);
    assert_eq!(exchange(&client, b"still there").await, b"STILL THERE");
}

#[tokio::test]
async fn reply_that_does_not_fit_in_a_datagram_is_counted_and_not_sent() {
    let server = Server::start();
    let client = server.connect().await;
    // Two bytes become six, so the reply has 65,508 bytes: one more than fits.
    let too_long = "ΐ".repeat(10_918);
    client.send(too_long.as_bytes()).await.unwrap();
    let longest = format!("{}abc", "ΐ".repeat(10_917));
    let reply = exchange(&client, longest.as_bytes()).await;
    assert_eq!(reply.len(), 65_505);
    assert_eq!(reply, longest.to_uppercase().as_bytes());
    let totals = server.shut_down().await;
    assert_eq!((totals.received, totals.answered, totals.reply_too_long), (2, 1, 1));
}

#[tokio::test]
async fn only_a_request_with_a_valid_timing_header_gets_a_timed_reply() {
    let server = Server::start();
    let client = server.connect().await;
    let mut request = header::request_header(60).to_vec();
    request.extend_from_slice(b"abcdefghijklmnopqrst");
    for number in 0..20 {
        let reply = exchange(&client, &request).await;
        assert_eq!(&reply[HEADER_LEN..], b"ABCDEFGHIJKLMNOPQRST");
        let ReplyHeader::Timed(timing) =
            header::parse_reply_header(reply.first_chunk().unwrap(), 60)
        else {
            panic!("{}", String::from_utf8_lossy(&reply));
        };
        assert!(timing.server < TIMEOUT, "{timing:?}");
        // After the first request, the kernel needs some milliseconds until it timestamps packets.
        if cfg!(all(target_os = "linux", not(portable))) && number > 10 {
            assert_eq!(timing.arrival, ArrivalClock::Kernel, "{number}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The server answers plain text and invalid headers as text, also after timed requests.
    assert_eq!(exchange(&client, b"text").await, b"TEXT");
    request.pop();
    let reply = exchange(&client, &request).await;
    assert_eq!(&reply, &request.to_ascii_uppercase());
    assert_eq!(exchange(&client, &request[..39]).await, request[..39].to_ascii_uppercase());
}

#[tokio::test]
async fn each_of_many_clients_gets_its_own_reply() {
    let server = Server::start();
    let mut clients = Vec::new();
    for number in 0..50 {
        let client = server.connect().await;
        client.send(format!("client {number}").as_bytes()).await.unwrap();
        clients.push(client);
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(receive(client).await, format!("CLIENT {number}").as_bytes());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn errors_for_earlier_replies_do_not_stop_the_server() {
    let server = Server::start_with(Config::default(), |socket| {
        // Without this option, Linux does not report ICMP errors to an unconnected socket.
        nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv4RecvErr, &true)
            .unwrap();
    });
    // This socket has another port than the closed sockets, so it does not receive their replies.
    let client = server.connect().await;
    // The portable server does not read the error queue, so more errors would fill the receive buffer of the socket.
    for _ in 0..100 {
        // The client closes its socket before the reply arrives. The system then answers the reply with "port
        // unreachable".
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        closed.send_to(b"bye", server.address).unwrap();
        drop(closed);
        tokio::task::yield_now().await;
    }
    assert_eq!(exchange(&client, b"still there").await, b"STILL THERE");
    let totals = server.shut_down().await;
    assert!(totals.receive_errors > 0, "{totals:?}");
    assert_eq!((totals.received, totals.answered), (101, 101));
}

#[tokio::test]
async fn datagrams_that_arrived_before_the_shutdown_are_answered() {
    let server = Server::start();
    // The test and the start of the server share one thread. The test does not yield while it sends, so the
    // server starts after the datagrams have arrived.
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.address).unwrap();
    for number in 0..100 {
        client.send(format!("request {number}").as_bytes()).unwrap();
    }
    client.set_nonblocking(true).unwrap();
    let client = UdpSocket::from_std(client).unwrap();
    let totals = server.shut_down().await;
    assert_eq!((totals.received, totals.answered), (100, 100));
    for number in 0..100 {
        assert_eq!(receive(&client).await, format!("REQUEST {number}").as_bytes());
    }
}
