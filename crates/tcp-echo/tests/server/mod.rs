//! Starts a server on a free port, and provides functions for its clients.
#![allow(dead_code, reason = "each test file uses only a part of this module")]

use echo_service::Signals;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tcp_echo::{Config, ServeError, Totals, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::{task::JoinHandle, time::timeout};

/// Timeout of each wait. A correct server needs much less time.
pub const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Server {
    pub address: SocketAddr,
    pub signals: Signals,
    task: JoinHandle<Result<Totals, ServeError>>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(Config::default())
    }

    pub fn start_with(config: Config) -> Self {
        Self::start_workers(1, config)
    }

    /// Starts a server with several workers. All workers accept connections from the same listener.
    pub fn start_workers(workers: usize, config: Config) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let signals = Signals::default();
        let listeners = (0..workers).map(|_| vec![listener.try_clone().unwrap()]).collect();
        let task = tokio::spawn(serve(listeners, config, signals.clone()));
        Self { address, signals, task }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Connects from an address of 127.0.0.0/8. On Linux, all these addresses belong to this host.
    pub async fn connect_from(&self, source: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::from(source), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    pub async fn shut_down(self) -> Totals {
        self.signals.shutdown.cancel();
        timeout(TIMEOUT, self.task).await.unwrap().unwrap().unwrap()
    }
}

/// Sends `request` and asserts the reply.
pub async fn exchange(client: &mut TcpStream, request: &[u8], expected: &[u8]) {
    client.write_all(request).await.unwrap();
    let mut reply = vec![0; expected.len()];
    timeout(TIMEOUT, client.read_exact(&mut reply)).await.expect("a reply").unwrap();
    assert_eq!(reply, expected);
}

/// Reads until the server closes its sending direction.
pub async fn read_to_end(client: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    timeout(TIMEOUT, client.read_to_end(&mut rest)).await.expect("the end").unwrap();
    rest
}
