//! Any bytes to both servers, in pieces, over real sockets: text comes back in upper case, a conversation with
//! timing headers ends in order, and both servers answer the next one: `cargo +nightly fuzz run servers`.
#![no_main]

use echo_core::header;
use echo_service::Signals;
use libfuzzer_sys::fuzz_target;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::time::Duration;

/// Long enough that only a reply which never comes takes it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a datagram may carry so that its reply fits in one, whatever it grows to.
const LONGEST: usize = 20_000;

fn servers() -> [SocketAddr; 2] {
    static SERVERS: OnceLock<[SocketAddr; 2]> = OnceLock::new();
    *SERVERS.get_or_init(|| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [udp.local_addr().unwrap(), tcp.local_addr().unwrap()];
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(udp_echo::serve(vec![udp], udp_echo::Config::default(), Signals::default()))
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
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reply = vec![0; 65_536];
    for piece in &pieces {
        let piece = &piece[..piece.len().min(LONGEST)];
        socket.send(piece).unwrap();
        let length = socket.recv(&mut reply).expect("a datagram's reply");
        if header::timed_request_length(piece) != Some(piece.len()) {
            assert_eq!(reply[..length], upper(piece));
        }
    }

    let mut stream = TcpStream::connect(tcp).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in &pieces {
        // The server may have ended a conversation that is none.
        let _ = stream.write_all(piece);
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut reply = Vec::new();
    let read = stream.read_to_end(&mut reply);
    let text = pieces.concat();
    // Whether it asks for timings depends on what the server reads first, which is not known here.
    if !text.starts_with(b"echo-rtt/1?") {
        read.expect("an orderly end");
        assert_eq!(reply, upper(&text));
    }
});
