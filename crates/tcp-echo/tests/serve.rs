//! The TCP server over real sockets: what it answers, what it must survive, how it ends.

mod server;

use echo_core::header::{self, ArrivalClock, HEADER_LEN, ReplyHeader, Timing};
use server::{PATIENCE, Server, ask, read_to_end};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn a_reply_begins_before_the_request_has_ended() {
    let server = Server::start();
    let mut client = server.client().await;
    ask(&mut client, b"first, ", b"FIRST, ").await;
    ask(&mut client, b"then", b"THEN").await;
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await, b"");
    let totals = server.end().await;
    assert_eq!((totals.connections, totals.bytes_received, totals.bytes_answered), (1, 11, 11));
    assert_eq!((totals.broken, totals.cut), (0, 0));
}

#[tokio::test]
async fn a_character_cut_by_segments_is_whole_in_the_reply() {
    let server = Server::start();
    let mut client = server.client().await;
    ask(&mut client, b"caf\xc3", b"CAF").await;
    ask(&mut client, b"\xa9 stra\xc3\x9f", "É STRASS".as_bytes()).await;
    // The beginning of a character that never ends comes back as it is, at the end.
    client.write_all(b"\xe2\x82").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await, b"\xe2\x82");
}

#[tokio::test]
async fn a_half_close_drains() {
    let server = Server::start();
    let mut client = server.client().await;
    let request = "ein größerer Text, der wächst: ŉ ΐ. ".repeat(20_000);
    let (mut reading, mut writing) = client.split();
    let write = async {
        writing.write_all(request.as_bytes()).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let mut reply = Vec::new();
    let both = async { tokio::join!(write, reading.read_to_end(&mut reply)).1.unwrap() };
    timeout(PATIENCE, both).await.unwrap();
    assert!(reply == request.to_uppercase().as_bytes());
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_from_and_harms_nobody() {
    let server = Server::start();
    let mut glutton = server.client().await;
    // Sends until nothing moves any more: the kernel's buffers are full, and the server, which holds
    // one piece and its reply, does not read on.
    let chunk = vec![b'x'; 256 * 1024];
    let mut taken = 0;
    while let Ok(written) = timeout(Duration::from_millis(300), glutton.write(&chunk)).await {
        taken += written.unwrap();
        // Four socket buffers at the most that Linux lets them grow to by itself (tcp(7): 4 and 6 MiB).
        assert!(taken < 32 << 20, "the server reads on");
    }
    let mut other = server.client().await;
    ask(&mut other, b"me too", b"ME TOO").await;
    drop(other);
    // At the end such a peer is cut, after a bounded time.
    let totals = server.end().await;
    assert_eq!((totals.connections, totals.cut), (2, 1));
}

#[tokio::test]
async fn connections_cut_at_every_stage_do_not_stop_it() {
    let server = Server::start();
    for stage in 0..60 {
        let mut client = server.client().await;
        match stage % 4 {
            0 => {}
            1 => client.write_all(b"never read").await.unwrap(),
            2 => ask(&mut client, b"read", b"READ").await,
            _ => {
                client.write_all(b"reset with the reply unread").await.unwrap();
                client.shutdown().await.unwrap();
            }
        }
        if stage % 2 == 0 {
            // A reset in place of an orderly end.
            #[expect(deprecated, reason = "it blocks for a non-zero time alone")]
            client.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    let mut client = server.client().await;
    ask(&mut client, b"still there", b"STILL THERE").await;
    drop(client);
    assert_eq!(server.end().await.connections, 61);
}

/// A request that asks for its timing, with `text` behind the header.
fn timed(text: &str) -> Vec<u8> {
    let mut request = header::request_header(HEADER_LEN + text.len()).to_vec();
    request.extend_from_slice(text.as_bytes());
    request
}

async fn timed_reply(client: &mut TcpStream, upper: &str) -> Timing {
    let mut reply = vec![0; HEADER_LEN + upper.len()];
    timeout(PATIENCE, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
    assert_eq!(&reply[HEADER_LEN..], upper.as_bytes());
    match header::parse_reply_header(reply.first_chunk().unwrap(), reply.len()) {
        ReplyHeader::Timed(timing) => timing,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&reply)),
    }
}

#[tokio::test]
async fn a_connection_that_asks_is_told_its_timings() {
    let server = Server::start();
    let mut client = server.client().await;
    for number in 0..20 {
        client.write_all(&timed("größer, ŉ")).await.unwrap();
        let timing = timed_reply(&mut client, "GRÖSSER, ʼN").await;
        assert!(timing.server < PATIENCE, "{timing:?}");
        // The kernel begins to stamp some milliseconds after the first was asked for.
        if cfg!(all(target_os = "linux", not(portable))) && number > 10 {
            assert_eq!(timing.arrival, ArrivalClock::Kernel, "{number}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Several at once, and one in pieces.
    let request = timed("abc");
    client.write_all(&[&request[..], &request, &request[..7]].concat()).await.unwrap();
    timed_reply(&mut client, "ABC").await;
    timed_reply(&mut client, "ABC").await;
    client.write_all(&request[7..41]).await.unwrap();
    client.write_all(&request[41..]).await.unwrap();
    timed_reply(&mut client, "ABC").await;
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await, b"");
    assert_eq!(server.end().await.broken, 0);
}

#[tokio::test]
async fn what_is_no_header_is_text_and_half_a_header_holds_nothing_back() {
    let server = Server::start();
    let mut client = server.client().await;
    let request = timed("abc");
    ask(&mut client, &request[..20], &request[..20].to_ascii_uppercase()).await;
    ask(&mut client, &request[20..], &request[20..].to_ascii_uppercase()).await;
    // Once text, always text.
    ask(&mut client, &request, &request.to_ascii_uppercase()).await;

    let mut liar = server.client().await;
    liar.write_all(&timed("abc")).await.unwrap();
    timed_reply(&mut liar, "ABC").await;
    liar.write_all(&[b'x'; HEADER_LEN]).await.unwrap();
    let mut rest = Vec::new();
    // The end may be a reset: the server has not read all.
    let _ = timeout(PATIENCE, liar.read_to_end(&mut rest)).await.expect("an end");
    assert_eq!(rest, b"");
    drop((client, liar));
    assert_eq!(server.end().await.broken, 1);
}

#[tokio::test]
async fn many_clients_each_get_their_own_replies() {
    let server = Server::start();
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = server.client().await;
        client.write_all(format!("client {number}").as_bytes()).await.unwrap();
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.shutdown().await.unwrap();
        assert_eq!(read_to_end(client).await, format!("CLIENT {number}").as_bytes());
    }
}

#[tokio::test]
async fn connections_that_wait_to_be_accepted_at_the_end_are_answered() {
    let server = Server::start();
    // Made without giving way: on this one thread the server has accepted none when the end comes.
    let clients: Vec<_> = (0..100)
        .map(|number| {
            let mut client = std::net::TcpStream::connect(server.address).unwrap();
            std::io::Write::write_all(&mut client, format!("client {number}").as_bytes()).unwrap();
            client
        })
        .collect();
    assert_eq!(server.end().await.connections, 100);
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut reply = String::new();
        std::io::Read::read_to_string(&mut client, &mut reply).unwrap();
        assert_eq!(reply, format!("CLIENT {number}"));
    }
}

#[tokio::test]
async fn what_arrived_before_the_end_is_answered() {
    let server = Server::start();
    let mut idle = server.client().await;
    ask(&mut idle, b"hello", b"HELLO").await;
    let mut busy = server.client().await;
    ask(&mut busy, b"one ", b"ONE ").await;
    // On one thread: the server's task has not read this when the end comes.
    busy.try_write(b"and two").unwrap();
    let totals = server.end().await;
    assert_eq!(read_to_end(&mut busy).await, b"AND TWO");
    assert_eq!(read_to_end(&mut idle).await, b"");
    assert_eq!((totals.bytes_received, totals.broken, totals.cut), (16, 0, 0));
}

#[tokio::test]
async fn what_was_answered_at_the_end_reaches_who_goes_on_sending() {
    let server = Server::start();
    let mut client = server.client().await;
    let length = 300_000;
    client.write_all(&vec![b'x'; length]).await.unwrap();
    let ending = tokio::spawn(server.end());
    // Until the server says that there will be no more, it may be sent more, with replies still on the way.
    let mut read = 0;
    let mut piece = vec![0; 4096];
    loop {
        let _ = client.write_all(b"and more").await;
        match timeout(PATIENCE, client.read(&mut piece)).await.expect("an end") {
            Ok(0) => break,
            Ok(length) => read += length,
            Err(error) => panic!("{error} after {read} bytes"),
        }
    }
    assert!(read >= length, "{read}");
    drop(client);
    assert_eq!(ending.await.unwrap().cut, 0);
}
