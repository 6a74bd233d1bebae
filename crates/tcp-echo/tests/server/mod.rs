//! A server of ours on a port of its own, and what tests ask it.
#![allow(dead_code, reason = "every test uses a part of it")]

use echo_service::Signals;
use std::net::SocketAddr;
use std::time::Duration;
use tcp_echo::{Config, Totals, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::{task::JoinHandle, time::timeout};

/// Long enough that only something which never comes takes it.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Server {
    pub address: SocketAddr,
    pub signals: Signals,
    task: JoinHandle<std::io::Result<Totals>>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(Config::default())
    }

    pub fn start_with(config: Config) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let signals = Signals::default();
        let task = tokio::spawn(serve(vec![vec![listener]], config, signals.clone()));
        Self { address, signals, task }
    }

    pub async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub async fn end(self) -> Totals {
        self.signals.shutdown.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap()
    }
}

pub async fn ask(client: &mut TcpStream, request: &[u8], expected: &[u8]) {
    client.write_all(request).await.unwrap();
    let mut reply = vec![0; expected.len()];
    timeout(PATIENCE, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
    assert_eq!(reply, expected);
}

pub async fn read_to_end(client: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut rest)).await.expect("an end").unwrap();
    rest
}
