//! Sends random bytes over real sockets: to the UDP server as several datagrams, and to the TCP server in one
//! connection. Both servers must answer text in upper case, also after invalid input.
//!
//! Run it with `cargo +nightly fuzz run servers`.
#![no_main]

use echo_core::header;
use echo_service::Signals;
use libfuzzer_sys::fuzz_target;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::time::Duration;

/// Timeout for a reply. The reply of a correct server always arrives earlier.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum length of a UDP request in bytes. A reply of three times this length fits in a datagram.
const MAX_REQUEST_LEN: usize = 20_000;

/// Returns the addresses of the UDP server and the TCP server. The first call starts both servers.
fn servers() -> [SocketAddr; 2] {
    static SERVERS: OnceLock<[SocketAddr; 2]> = OnceLock::new();
    *SERVERS.get_or_init(|| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [udp.local_addr().unwrap(), tcp.local_addr().unwrap()];
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(udp_echo::serve(
                vec![udp],
                udp_echo::Config::default(),
                Signals::default(),
            ))
        });
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let config = tcp_echo::Config::default();
            runtime.block_on(tcp_echo::serve(vec![vec![tcp]], config, Signals::default()))
        });
        addresses
    })
}

fn upper(text: &[u8]) -> Vec<u8> {
    echo_core::uppercase_slice(&mut text.to_vec()).into_owned()
}

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let [udp, tcp] = servers();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(udp).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut reply = vec![0; 65_536];
    for piece in &pieces {
        let piece = &piece[..piece.len().min(MAX_REQUEST_LEN)];
        socket.send(piece).unwrap();
        let length = loop {
            match socket.recv(&mut reply) {
                // The timer of libFuzzer interrupts system calls.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.expect("a reply"),
            }
        };
        if header::Request::of_datagram(piece).is_none() {
            assert_eq!(reply[..length], upper(piece));
        }
    }

    let mut stream = TcpStream::connect(tcp).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in &pieces {
        // The server may have closed the connection after an invalid header.
        let _ = stream.write_all(piece);
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut reply = Vec::new();
    let read = stream.read_to_end(&mut reply);
    let text = pieces.concat();
    // If the text begins like a timing header, the reply depends on the length of the server's first read.
    if !text.starts_with(b"echo-rtt/") {
        read.expect("the end of the connection");
        assert_eq!(reply, upper(&text));
    }
});
