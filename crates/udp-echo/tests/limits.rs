//! Tests of the limits of the UDP server: the server does not answer some datagrams, but it answers honest
//! clients.

mod server;

use echo_service::{AllowedNetworks, UNIT_BYTES};
use server::{Server, exchange};
use std::time::{Duration, Instant};
use tokio::{net::UdpSocket, time::timeout};
use udp_echo::Config;

/// After this time without a reply, a test concludes that there is no reply. Over loopback, a reply arrives
/// much earlier.
const SILENCE: Duration = Duration::from_millis(200);

async fn receives_nothing(client: &UdpSocket) -> bool {
    timeout(SILENCE, client.recv(&mut [0; 100])).await.is_err()
}

#[tokio::test]
async fn source_that_exceeds_its_rate_does_not_affect_another_source() {
    let server = Server::start_with(Config { rate: Some(50), ..Config::default() }, |_| {});
    let greedy = server.connect().await;
    let start = Instant::now();
    for _ in 0..150 {
        greedy.send(b"more").await.unwrap();
    }
    while timeout(SILENCE, greedy.recv(&mut [0; 100])).await.is_ok() {}
    let elapsed = start.elapsed();
    #[cfg(target_os = "linux")]
    {
        // All addresses of 127.0.0.0/8 belong to this machine.
        let other = server::connect_from("127.0.0.2:0", server.address).await;
        for _ in 0..50 {
            assert_eq!(exchange(&other, b"me too").await, b"ME TOO");
        }
    }
    let totals = server.shut_down().await;
    assert_eq!(totals.received, totals.answered + totals.refused_rate_limit);
    let greedy_answered = totals.answered - (totals.received - 150);
    let max_answered = 51 + u64::try_from(elapsed.as_millis()).unwrap() * 50 / 1000;
    assert!((50..=max_answered).contains(&greedy_answered), "{totals:?}");
}

#[tokio::test]
async fn long_datagram_counts_as_several_requests() {
    const RATE: u32 = 10;
    const LONG: usize = 40 * UNIT_BYTES;
    let server = Server::start_with(Config { rate: Some(RATE), ..Config::default() }, |_| {});
    let client = server.connect().await;
    // The datagram has 40 units, and the source has 10 tokens. So the source is in debt for three seconds.
    assert_eq!(exchange(&client, &vec![b'x'; LONG]).await.len(), LONG);
    client.send(b"short").await.unwrap();
    assert!(timeout(SILENCE / 4, client.recv(&mut [0; 100])).await.is_err());
    assert_eq!(server.shut_down().await.refused_rate_limit, 1);
}

#[tokio::test]
async fn peer_outside_the_allowed_networks_receives_no_reply() {
    let allow = |network: &str| Config {
        allowed: AllowedNetworks::new(vec![network.parse().unwrap()]),
        ..Config::default()
    };
    let server = Server::start_with(allow("192.0.2.0/24"), |_| {});
    let client = server.connect().await;
    client.send(b"hello").await.unwrap();
    assert!(receives_nothing(&client).await);
    assert_eq!(server.shut_down().await.refused_network, 1);

    let server = Server::start_with(allow("127.0.0.0/8"), |_| {});
    assert_eq!(exchange(&server.connect().await, b"hello").await, b"HELLO");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn peer_with_the_port_of_the_server_receives_no_reply() {
    let server = Server::start();
    // The replies of a second server with the same port on another host would have such a source address.
    let address = format!("127.0.0.2:{}", server.address.port());
    let other = server::connect_from(&address, server.address).await;
    other.send(b"hello").await.unwrap();
    assert!(receives_nothing(&other).await);
    assert_eq!(server.shut_down().await.refused_source_port, 1);
}

#[tokio::test]
async fn client_that_repeats_text_in_upper_case_is_always_answered() {
    let server = Server::start();
    let client = server.connect().await;
    for _ in 0..2000 {
        assert_eq!(exchange(&client, b"THE SAME, 123").await, b"THE SAME, 123");
    }
    for _ in 0..100 {
        assert_eq!(exchange(&client, b"").await, b"");
    }
    let totals = server.shut_down().await;
    assert_eq!((totals.answered, totals.refused_server_loop), (2100, 0));
}

#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn request_in_upper_case_is_answered_with_a_smaller_hop_limit() {
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt,
    };
    use std::os::fd::AsRawFd as _;
    let server = Server::start();
    // The server starts here. It could not start during the blocking calls below.
    tokio::task::yield_now().await;
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(server.address).unwrap();
    client.set_read_timeout(Some(SILENCE)).unwrap();
    setsockopt(&client, sockopt::Ipv4RecvTtl, &true).unwrap();
    let reply_hops = |text: &[u8], hops| {
        setsockopt(&client, sockopt::Ipv4Ttl, &hops).unwrap();
        client.send(text).unwrap();
        let mut reply = [0; 100];
        let mut buffers = [std::io::IoSliceMut::new(&mut reply)];
        let mut control = nix::cmsg_space!(i32);
        let flags = MsgFlags::empty();
        let message =
            recvmsg::<SockaddrIn>(client.as_raw_fd(), &mut buffers, Some(&mut control), flags)
                .ok()?;
        message.cmsgs().unwrap().find_map(|control| match control {
            ControlMessageOwned::Ipv4Ttl(hops) => Some(hops),
            _ => None,
        })
    };
    let default = reply_hops(b"lower case", 9).unwrap();
    assert!(default >= 32, "{default}");
    assert_eq!(reply_hops(b"CAPITALS", 9), Some(8));
    assert_eq!(reply_hops(b"", 2), Some(1));
    assert_eq!(reply_hops(b"CAPITALS", 255), Some(64));
    assert_eq!(reply_hops(b"CAPITALS", 1), None);
    assert_eq!(reply_hops(b"lower case", 1), Some(default));
    assert_eq!(server.shut_down().await.refused_server_loop, 1);
}

#[cfg(all(target_os = "linux", not(portable)))]
#[tokio::test]
async fn source_of_a_reply_is_the_destination_of_its_request() {
    for (wildcard, host) in
        [("0.0.0.0:0", "127.0.0.5"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")]
    {
        let Ok(socket) = std::net::UdpSocket::bind(wildcard) else {
            let is_required = std::env::var_os("REQUIRE_IPV6").is_some();
            assert!(!is_required, "REQUIRE_IPV6 is set, but this machine has no IPv6");
            eprintln!("SKIPPED: this machine has no IPv6");
            continue;
        };
        let address =
            std::net::SocketAddr::new(host.parse().unwrap(), socket.local_addr().unwrap().port());
        let signals = echo_service::Signals::default();
        let task = tokio::spawn(udp_echo::serve(vec![socket], Config::default(), signals.clone()));
        // The server starts here. The kernel reports the destination address only for datagrams that arrive
        // later.
        tokio::task::yield_now().await;
        let local = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        // A connected socket receives only datagrams from its peer's address, so the exchange fails if the
        // reply has another source.
        let client = server::connect_from(local, address).await;
        assert_eq!(exchange(&client, b"from where?").await, b"FROM WHERE?", "{address}");
        assert_eq!(exchange(&client, b"FROM WHERE?").await, b"FROM WHERE?", "{address}");
        signals.shutdown.cancel();
        timeout(server::TIMEOUT, task).await.unwrap().unwrap().unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_of_several_coalesced_datagrams_is_answered() {
    use nix::sys::socket::{setsockopt, sockopt};
    let server = Server::start();
    let client = server.connect().await;
    setsockopt(&client, sockopt::UdpGsoSegment, &8).unwrap();
    // The kernel splits the text into datagrams of eight bytes. The split cuts the first é into invalid
    // bytes. Two other characters change their length. The last datagram is shorter.
    let text = "all lowerssssss\u{e9}\u{e9}xxx\u{390}abcdef\u{131}abcdefghijk".as_bytes();
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
            received.push(server::receive(&client).await);
        }
        assert_eq!(received, text.chunks(8).map(expected).collect::<Vec<_>>());
    }
    // The server converts all ASCII datagrams of one buffer together.
    let text = b"the quick brown fox jumps over the lazy dog";
    client.send(text).await.unwrap();
    for datagram in text.chunks(8) {
        assert_eq!(server::receive(&client).await, datagram.to_ascii_uppercase());
    }
    let totals = server.shut_down().await;
    assert_eq!(totals.received, totals.answered);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn burst_is_answered_up_to_the_rate() {
    use nix::sys::socket::{setsockopt, sockopt};
    let server = Server::start_with(Config { rate: Some(5), ..Config::default() }, |_| {});
    let client = server.connect().await;
    setsockopt(&client, sockopt::UdpGsoSegment, &4).unwrap();
    client.send(b"1aaa2bbb3ccc4ddd5eee6fff7ggg").await.unwrap();
    for number in 1..=5 {
        assert_eq!(server::receive(&client).await[0], b'0' + number);
    }
    let totals = server.shut_down().await;
    assert_eq!((totals.received, totals.answered, totals.refused_rate_limit), (7, 5, 2));
}

#[tokio::test]
async fn busy_polling_server_answers_requests_after_any_pause() {
    let config = Config { busy_poll: Duration::from_millis(20), ..Config::default() };
    let server = Server::start_with(config, |_| {});
    let client = server.connect().await;
    for pause in [0, 0, 1, 5, 50, 0] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        assert_eq!(exchange(&client, b"hello").await, b"HELLO");
    }
    assert_eq!(server.shut_down().await.answered, 6);
}
