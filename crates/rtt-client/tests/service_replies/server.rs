//! Scripted servers. The TCP servers count their connections and requests.

use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A running server.
#[derive(Clone)]
pub struct Script {
    pub address: String,
    connections: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl Script {
    /// The number of connections that the server has accepted.
    pub fn connections(&self) -> usize {
        usize::try_from(self.connections.load(Ordering::SeqCst)).unwrap()
    }

    /// The number of calls of [`Script::count_request`].
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::SeqCst);
    }
}

/// Starts a server that calls `serve` for each connection, and closes the connection afterwards.
pub fn tcp_server(
    serve: impl Fn(&mut TcpStream, &Script) -> io::Result<()> + Send + Sync + 'static,
) -> Script {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let script = Script { address, connections: Arc::default(), requests: Arc::default() };
    let (counted, serve) = (script.clone(), Arc::new(serve));
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            counted.connections.fetch_add(1, Ordering::SeqCst);
            let (counted, serve) = (counted.clone(), Arc::clone(&serve));
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                // An error means that the client has closed the connection.
                let _ = serve(&mut stream, &counted);
            });
        }
    });
    script
}

/// Reads until the end of one request. Returns false if the client closes the connection.
pub fn read_request(stream: &mut TcpStream, end: &str) -> bool {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(end.as_bytes()) {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// The head of an HTTP reply. `options` are further lines of the head.
pub fn http_reply(version: &str, options: &str) -> String {
    format!("{version} 200 OK\r\nServer: test\r\nContent-Length: 2\r\n{options}\r\n")
}

/// Starts a UDP server and returns its address. For each datagram, the server calls `handle` with a function that sends a
/// reply.
pub fn udp_server(mut handle: impl FnMut(&[u8], &dyn Fn(&[u8])) + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            handle(&buffer[..length], &|reply| {
                // The client may have closed its socket.
                let _ = socket.send_to(reply, client);
            });
        }
    });
    address
}
