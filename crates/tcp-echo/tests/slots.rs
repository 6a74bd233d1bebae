//! Connection slots with real connections: an honest newcomer is served at once while attackers hold all slots.
#![cfg(target_os = "linux")]

mod server;

use server::{Server, exchange};
use std::time::Duration;
use tcp_echo::{Config, reserved};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SLOTS: usize = 128;

/// The number of hostile sources. The addresses are in different /24 networks.
const ATTACKERS: u8 = 64;

const PER_SOURCE: usize = 4;

fn config() -> Config {
    Config {
        max_connections: SLOTS,
        max_connections_per_source: Some(PER_SOURCE as u64),
        ..Config::default()
    }
}

/// Opens connections from all hostile sources until the server refuses the next connection of each source. Each client
/// waits for a reply, so the server has handled its connection.
async fn take_all_slots(server: &Server) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..=PER_SOURCE {
        for number in 0..ATTACKERS {
            let client = server.connect_from([127, 1, number, 1]).await;
            if client.try_write(b"x").is_ok() && is_served(&client).await {
                open.push(client);
            }
        }
    }
    open
}

/// Whether the server replies. It closes a connection that receives no slot.
async fn is_served(client: &TcpStream) -> bool {
    timeout(server::TIMEOUT, client.readable()).await.expect("a reply or a close").unwrap();
    matches!(client.try_read(&mut [0; 10]), Ok(1..))
}

/// The number of connections that the server has not closed.
fn count_open(clients: &[TcpStream]) -> usize {
    let is_open = |client: &&TcpStream| match client.try_read(&mut [0; 10]) {
        Ok(length) => length > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    };
    clients.iter().filter(is_open).count()
}

/// Attackers take all slots. Then newcomers connect, one after the other. Each of them receives a reply to its first
/// request, and keeps its connection.
async fn assert_newcomers_are_served(workers: usize) {
    // 1/16 of the slots is reserved for sources without a connection.
    assert_eq!((SLOTS, reserved(SLOTS)), (128, 8));
    let server = Server::start_workers(workers, config());
    let attackers = take_all_slots(&server).await;
    let mut newcomers = Vec::new();
    for number in 0..20 {
        let mut client = server.connect_from([127, 2, number, 1]).await;
        exchange(&mut client, b"hello", b"HELLO").await;
        newcomers.push(client);
    }
    let more_attackers = take_all_slots(&server).await;
    for client in &mut newcomers {
        exchange(client, b"still there", b"STILL THERE").await;
    }
    let open = count_open(&attackers) + count_open(&more_attackers) + newcomers.len();
    assert!(open <= SLOTS, "{open}");
    drop((attackers, more_attackers, newcomers));
    let totals = server.shut_down().await;
    assert!(totals.closed_for_newcomer >= 20 - reserved(SLOTS) as u64, "{totals:?}");
    assert!(totals.refused_connection_limit > 0, "{totals:?}");
}

#[tokio::test]
async fn newcomers_are_served_at_once_while_64_sources_hold_all_slots() {
    assert_newcomers_are_served(1).await;
}

#[tokio::test]
async fn newcomers_are_served_at_once_if_another_worker_has_the_connections_of_the_attackers() {
    assert_newcomers_are_served(3).await;
}

#[tokio::test]
async fn connection_that_is_idle_longest_is_closed() {
    // The server stores the time of the last transfer with a resolution of one tick, here 10 ms.
    let stall_timeout = Duration::from_millis(80);
    let config = Config { max_connections: 3, stall_timeout, ..Config::default() };
    let server = Server::start_with(config);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect_from([127, 0, 0, 1]).await);
    }
    for number in [1, 0, 2] {
        exchange(&mut clients[number], b"hello", b"HELLO").await;
        sleep(Duration::from_millis(100)).await;
    }
    let mut newcomer = server.connect_from([127, 0, 0, 2]).await;
    exchange(&mut newcomer, b"me too", b"ME TOO").await;
    assert_eq!(timeout(server::TIMEOUT, clients[1].read(&mut [0])).await.unwrap().unwrap(), 0);
    for number in [0, 2] {
        exchange(&mut clients[number], b"still there", b"STILL THERE").await;
    }
    drop((clients, newcomer));
    assert_eq!(server.shut_down().await.closed_for_newcomer, 1);
}
