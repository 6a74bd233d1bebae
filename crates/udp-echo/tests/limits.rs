//! What the UDP server does not answer, each limit by itself; and that honest clients are not hit by it.

mod server;

use echo_service::AllowedNetworks;
use server::{Server, ask, receive};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::{net::UdpSocket, time::timeout};
use udp_echo::Config;

/// Long enough that an answer on this machine would have come.
const SILENCE: Duration = Duration::from_millis(200);

/// A client at an address and port of this machine's choice or the test's.
async fn client_at(address: &str, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

async fn is_silent(client: &UdpSocket) -> bool {
    timeout(SILENCE, client.recv(&mut [0; 100])).await.is_err()
}

#[tokio::test]
async fn a_source_beyond_its_rate_is_not_answered_and_another_one_is() {
    let server = Server::start_with(Config { rate: Some(50), ..Config::default() }, |_| {});
    let greedy = server.client().await;
    let begun = Instant::now();
    for _ in 0..150 {
        greedy.send(b"more").await.unwrap();
    }
    while timeout(SILENCE, greedy.recv(&mut [0; 100])).await.is_ok() {}
    let took = begun.elapsed();
    #[cfg(target_os = "linux")]
    {
        // All of 127.0.0.0/8 is this machine's.
        let other = client_at("127.0.0.2:0", server.address).await;
        for _ in 0..50 {
            assert_eq!(ask(&other, b"me too").await, b"ME TOO");
        }
    }
    let totals = server.end().await;
    assert_eq!(totals.received, totals.answered + totals.refused_rate);
    let of_the_greedy = totals.answered - (totals.received - 150);
    let most = 51 + u64::try_from(took.as_millis()).unwrap() * 50 / 1000;
    assert!((50..=most).contains(&of_the_greedy), "{totals:?}");
}

#[tokio::test]
async fn who_is_not_allowed_hears_nothing() {
    let only = |network: &str| Config {
        allowed: AllowedNetworks::new(vec![network.parse().unwrap()]),
        ..Config::default()
    };
    let server = Server::start_with(only("192.0.2.0/24"), |_| {});
    let client = server.client().await;
    client.send(b"hello").await.unwrap();
    assert!(is_silent(&client).await);
    assert_eq!(server.end().await.refused_network, 1);

    let server = Server::start_with(only("127.0.0.0/8"), |_| {});
    assert_eq!(ask(&server.client().await, b"hello").await, b"HELLO");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_source_with_its_own_port_is_not_answered() {
    let server = Server::start();
    // What another server's answer would come from, if it has the same port on another host.
    let other = client_at(&format!("127.0.0.2:{}", server.address.port()), server.address).await;
    other.send(b"hello").await.unwrap();
    assert!(is_silent(&other).await);
    assert_eq!(server.end().await.refused_port, 1);
}

#[tokio::test]
async fn a_client_that_repeats_the_same_capitals_is_answered_each_time() {
    let server = Server::start();
    let client = server.client().await;
    for _ in 0..2000 {
        assert_eq!(ask(&client, b"THE SAME, 123").await, b"THE SAME, 123");
    }
    for _ in 0..100 {
        assert_eq!(ask(&client, b"").await, b"");
    }
    let totals = server.end().await;
    assert_eq!((totals.answered, totals.refused_loop), (2100, 0));
}

#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn what_may_be_an_answer_is_answered_with_a_hop_fewer() {
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt,
    };
    use std::os::fd::AsRawFd as _;
    let server = Server::start();
    // It begins now, before this thread waits for it.
    tokio::task::yield_now().await;
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.address).unwrap();
    client.set_read_timeout(Some(SILENCE)).unwrap();
    setsockopt(&client, sockopt::Ipv4RecvTtl, &true).unwrap();
    let hops_of_the_reply = |text: &[u8], hops| {
        setsockopt(&client, sockopt::Ipv4Ttl, &hops).unwrap();
        client.send(text).unwrap();
        let mut reply = [0; 100];
        let mut place = [std::io::IoSliceMut::new(&mut reply)];
        let mut control = nix::cmsg_space!(i32);
        let flags = MsgFlags::empty();
        let message =
            recvmsg::<SockaddrIn>(client.as_raw_fd(), &mut place, Some(&mut control), flags)
                .ok()?;
        message.cmsgs().unwrap().find_map(|control| match control {
            ControlMessageOwned::Ipv4Ttl(hops) => Some(hops),
            _ => None,
        })
    };
    let usual = hops_of_the_reply(b"small letters", 9).unwrap();
    assert!(usual >= 32, "{usual}");
    assert_eq!(hops_of_the_reply(b"CAPITALS", 9), Some(8));
    assert_eq!(hops_of_the_reply(b"", 2), Some(1));
    assert_eq!(hops_of_the_reply(b"CAPITALS", 255), Some(64));
    assert_eq!(hops_of_the_reply(b"CAPITALS", 1), None);
    assert_eq!(hops_of_the_reply(b"small letters", 1), Some(usual));
    assert_eq!(server.end().await.refused_loop, 1);
}

#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn a_reply_leaves_from_the_address_that_was_asked() {
    for (wildcard, host) in
        [("0.0.0.0:0", "127.0.0.5"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")]
    {
        let Ok(socket) = std::net::UdpSocket::bind(wildcard) else {
            let required = std::env::var_os("REQUIRE_IPV6").is_some();
            assert!(!required, "REQUIRE_IPV6 is set, and this machine has no IPv6");
            eprintln!("SKIPPED: this machine has no IPv6");
            continue;
        };
        let address = SocketAddr::new(host.parse().unwrap(), socket.local_addr().unwrap().port());
        let signals = echo_service::Signals::default();
        let task = tokio::spawn(udp_echo::serve(vec![socket], Config::default(), signals.clone()));
        // Before it has begun the kernel does not tell the address.
        tokio::task::yield_now().await;
        let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        // A socket that is connected hears from the address that it asked alone.
        let client = client_at(any, address).await;
        assert_eq!(ask(&client, b"from where?").await, b"FROM WHERE?", "{address}");
        assert_eq!(ask(&client, b"FROM WHERE?").await, b"FROM WHERE?", "{address}");
        signals.shutdown.cancel();
        timeout(server::PATIENCE, task).await.unwrap().unwrap().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn datagrams_sent_together_are_answered_each_by_itself() {
    use nix::sys::socket::{setsockopt, sockopt};
    let server = Server::start();
    let client = server.client().await;
    setsockopt(&client, sockopt::UdpGsoSegment, &8).unwrap();
    // The kernel makes datagrams of eight bytes of it. A character lies across two of them, where it is
    // none; others become shorter or longer; the last datagram is short.
    let text = "all lowerssssss\u{e9}\u{e9}xxxx\u{390}abcdef\u{131}abcdefghijk".as_bytes();
    let expected = |datagram: &[u8]| {
        let mut upper = bytes::BytesMut::from(datagram);
        echo_core::uppercase(&mut upper);
        upper
    };
    for _ in 0..50 {
        client.send(text).await.unwrap();
        let replies = text.chunks(8).count();
        let mut received = Vec::new();
        for _ in 0..replies {
            received.push(receive(&client).await);
        }
        assert_eq!(received, text.chunks(8).map(expected).collect::<Vec<_>>());
    }
    // Text that is all ASCII goes another way.
    let text = b"the quick brown fox jumps over the lazy dog";
    client.send(text).await.unwrap();
    for datagram in text.chunks(8) {
        assert_eq!(receive(&client).await, datagram.to_ascii_uppercase());
    }
    let totals = server.end().await;
    assert_eq!(totals.received, totals.answered);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_burst_beyond_the_rate_is_answered_as_far_as_it_goes() {
    use nix::sys::socket::{setsockopt, sockopt};
    let server = Server::start_with(Config { rate: Some(5), ..Config::default() }, |_| {});
    let client = server.client().await;
    setsockopt(&client, sockopt::UdpGsoSegment, &4).unwrap();
    client.send(b"1aaa2bbb3ccc4ddd5eee6fff7ggg").await.unwrap();
    for number in 1..=5 {
        assert_eq!(receive(&client).await[0], b'0' + number);
    }
    let totals = server.end().await;
    assert_eq!((totals.received, totals.answered, totals.refused_rate), (7, 5, 2));
}

#[tokio::test]
async fn looking_again_and_again_answers_as_well() {
    let config = Config { busy_poll: Duration::from_millis(20), ..Config::default() };
    let server = Server::start_with(config, |_| {});
    let client = server.client().await;
    for pause in [0, 0, 1, 5, 50, 0] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        assert_eq!(ask(&client, b"hello").await, b"HELLO");
    }
    assert_eq!(server.end().await.answered, 6);
}
