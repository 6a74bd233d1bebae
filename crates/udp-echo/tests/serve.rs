//! The UDP server over real sockets: what it answers, what it must survive, how it ends.

mod server;

use echo_core::header::{self, ArrivalClock, HEADER_LEN, ReplyHeader};
use server::{PATIENCE, Server, ask, receive};
use std::time::Duration;
use tokio::net::UdpSocket;
use udp_echo::Config;

#[tokio::test]
async fn datagrams_of_every_length_are_answered() {
    let server = Server::start();
    let client = server.client().await;
    for length in [0, 1, 32, 1472, 1473, 9000, 65_507] {
        assert_eq!(ask(&client, &vec![b'a'; length]).await, vec![b'A'; length]);
    }
    assert_eq!(ask(&client, "größe ŉ\0".as_bytes()).await, "GRÖSSE ʼN\0".as_bytes());
    let totals = server.end().await;
    assert_eq!((totals.received, totals.answered), (8, 8));
}

#[tokio::test]
async fn bytes_that_are_no_text_are_answered_unchanged() {
    let server = Server::start();
    let client = server.client().await;
    // Every byte, in an order that makes no characters of them.
    let noise: Vec<u8> = (0..=255).rev().filter(|byte: &u8| !byte.is_ascii_lowercase()).collect();
    assert_eq!(ask(&client, &noise).await, noise);
    assert_eq!(ask(&client, b"still there").await, b"STILL THERE");
}

#[tokio::test]
async fn a_reply_beyond_a_datagram_is_not_sent_and_counted() {
    let server = Server::start();
    let client = server.client().await;
    // Two bytes become six: 65,508 bytes of reply, one more than there is room for.
    let too_long = "ΐ".repeat(10_918);
    client.send(too_long.as_bytes()).await.unwrap();
    let longest = format!("{}abc", "ΐ".repeat(10_917));
    let reply = ask(&client, longest.as_bytes()).await;
    assert_eq!(reply.len(), 65_505);
    assert_eq!(reply, longest.to_uppercase().as_bytes());
    let totals = server.end().await;
    assert_eq!((totals.received, totals.answered, totals.too_long), (2, 1, 1));
}

#[tokio::test]
async fn a_timing_is_told_to_who_asks_and_to_nobody_else() {
    let server = Server::start();
    let client = server.client().await;
    let mut request = header::request_header(60).to_vec();
    request.extend_from_slice(b"abcdefghijklmnopqrst");
    for number in 0..20 {
        let reply = ask(&client, &request).await;
        assert_eq!(&reply[HEADER_LEN..], b"ABCDEFGHIJKLMNOPQRST");
        let ReplyHeader::Timed(timing) =
            header::parse_reply_header(reply.first_chunk().unwrap(), 60)
        else {
            panic!("{}", String::from_utf8_lossy(&reply));
        };
        assert!(timing.server < PATIENCE, "{timing:?}");
        // The kernel begins to stamp some milliseconds after the first was asked for.
        if cfg!(all(target_os = "linux", not(portable))) && number > 10 {
            assert_eq!(timing.arrival, ArrivalClock::Kernel, "{number}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A text between goes as ever, and so does what only looks like a header.
    assert_eq!(ask(&client, b"text").await, b"TEXT");
    request.pop();
    let reply = ask(&client, &request).await;
    assert_eq!(&reply, &request.to_ascii_uppercase());
    assert_eq!(ask(&client, &request[..39]).await, request[..39].to_ascii_uppercase());
}

#[tokio::test]
async fn many_clients_each_get_their_own_replies() {
    let server = Server::start();
    let mut clients = Vec::new();
    for number in 0..50 {
        let client = server.client().await;
        client.send(format!("client {number}").as_bytes()).await.unwrap();
        clients.push(client);
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(receive(client).await, format!("CLIENT {number}").as_bytes());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn errors_for_earlier_replies_do_not_stop_it() {
    let server = Server::start_with(Config::default(), |socket| {
        // Without this Linux keeps such errors from a socket that is not connected; with it the socket
        // hands them up as other systems' do by themselves.
        nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv4RecvErr, &true)
            .unwrap();
    });
    for _ in 0..200 {
        // Closed before the reply comes: the system answers it with "port unreachable".
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        gone.send_to(b"bye", server.address).unwrap();
        drop(gone);
        tokio::task::yield_now().await;
    }
    let client = server.client().await;
    assert_eq!(ask(&client, b"still there").await, b"STILL THERE");
    let totals = server.end().await;
    assert!(totals.receive_errors > 0, "{totals:?}");
    assert_eq!((totals.received, totals.answered), (201, 201));
}

#[tokio::test]
async fn what_arrived_before_the_end_is_answered() {
    let server = Server::start();
    // Sent without giving way: on this one thread the server has not run when the end comes.
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.address).unwrap();
    for number in 0..100 {
        client.send(format!("request {number}").as_bytes()).unwrap();
    }
    client.set_nonblocking(true).unwrap();
    let client = UdpSocket::from_std(client).unwrap();
    let totals = server.end().await;
    assert_eq!((totals.received, totals.answered), (100, 100));
    for number in 0..100 {
        assert_eq!(receive(&client).await, format!("REQUEST {number}").as_bytes());
    }
}
