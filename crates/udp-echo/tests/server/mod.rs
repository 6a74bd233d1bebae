//! A server of ours on a port of its own, and what tests ask it.
#![allow(dead_code, reason = "every test uses a part of it")]

use echo_service::Signals;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::{net::UdpSocket, task::JoinHandle, time::timeout};
use udp_echo::{Config, Totals, serve};

/// Long enough that only a reply which never comes takes it.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Server {
    pub address: SocketAddr,
    pub signals: Signals,
    task: JoinHandle<std::io::Result<Totals>>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(Config::default(), |_| {})
    }

    pub fn start_with(config: Config, prepare: impl Fn(&std::net::UdpSocket)) -> Self {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        prepare(&socket);
        let address = socket.local_addr().unwrap();
        let signals = Signals::default();
        let task = tokio::spawn(serve(vec![socket], config, signals.clone()));
        Self { address, signals, task }
    }

    pub async fn client(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address).await.unwrap();
        socket
    }

    pub async fn end(self) -> Totals {
        self.signals.shutdown.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap()
    }
}

pub async fn ask(client: &UdpSocket, request: &[u8]) -> Vec<u8> {
    client.send(request).await.unwrap();
    receive(client).await
}

pub async fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut reply = vec![0; 65_536];
    let length = timeout(PATIENCE, client.recv(&mut reply)).await.expect("a reply").unwrap();
    reply.truncate(length);
    reply
}
