//! Starts a server on a free port, and provides functions for clients.
#![allow(dead_code, reason = "each test file uses only some of the functions")]

use echo_service::Signals;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};
use udp_echo::{Config, ServeError, Totals, serve};

/// Timeout for each reply and for the shutdown. A correct server is always faster.
pub const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Server {
    pub address: SocketAddr,
    pub signals: Signals,
    task: JoinHandle<Result<Totals, ServeError>>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(Config::default(), |_| {})
    }

    /// Starts a server. Calls `prepare` with the socket before the start.
    pub fn start_with(config: Config, prepare: impl Fn(&std::net::UdpSocket)) -> Self {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        prepare(&socket);
        let address = socket.local_addr().unwrap();
        let signals = Signals::default();
        let task = tokio::spawn(serve(vec![socket], config, signals.clone()));
        Self { address, signals, task }
    }

    /// Returns a client on a free port that is connected to the server.
    pub async fn connect(&self) -> UdpSocket {
        connect_from("127.0.0.1:0", self.address).await
    }

    pub async fn shut_down(self) -> Totals {
        self.signals.shutdown.cancel();
        timeout(TIMEOUT, self.task).await.unwrap().unwrap().unwrap()
    }
}

/// Returns a client with the local address `address` that is connected to `server`.
pub async fn connect_from(address: &str, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

/// Sends `request` and returns the reply.
pub async fn exchange(client: &UdpSocket, request: &[u8]) -> Vec<u8> {
    client.send(request).await.unwrap();
    receive(client).await
}

/// Waits for a reply and returns it.
pub async fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut reply = vec![0; 65_536];
    let length = timeout(TIMEOUT, client.recv(&mut reply)).await.expect("a reply").unwrap();
    reply.truncate(length);
    reply
}
