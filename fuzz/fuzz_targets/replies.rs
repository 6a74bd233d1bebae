//! Sends random bytes as replies to the client, over UDP or TCP, in one exchange and in a series. The client
//! must not panic, and its run must end.
//!
//! Run it with `cargo +nightly fuzz run replies`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtt_client::report::{Json, JsonConfig};
use rtt_client::{Plan, Settings, protocol_named, run};
use std::io::{Read as _, Write as _, sink};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// The bytes that the UDP peer and the TCP peer send as their reply.
static REPLY: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Returns the addresses of the UDP peer and the TCP peer. The first call starts both peers.
fn peers() -> [SocketAddr; 2] {
    static PEERS: OnceLock<[SocketAddr; 2]> = OnceLock::new();
    *PEERS.get_or_init(|| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [udp.local_addr().unwrap(), tcp.local_addr().unwrap()];
        std::thread::spawn(move || {
            while let Ok((_, peer)) = udp.recv_from(&mut [0; 65_536]) {
                let _ = udp.send_to(&REPLY.lock().unwrap(), peer);
            }
        });
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let _ = stream.read(&mut [0; 65_536]);
                let _ = stream.write_all(&REPLY.lock().unwrap());
            }
        });
        addresses
    })
}

fuzz_target!(|input: (bool, bool, Vec<u8>)| {
    let (is_tcp, breakdown, reply) = input;
    REPLY.lock().unwrap().clone_from(&reply);
    let protocol = protocol_named(if is_tcp { "tcp" } else { "udp" }).unwrap();
    let timeout = Duration::from_millis(5);
    for settings in [Settings::one("hello"), Settings::series(2)] {
        let target = peers()[usize::from(is_tcp)].to_string().parse().unwrap();
        let settings = Settings { timeout, breakdown, ..settings };
        let Ok(plan) = Plan::new(protocol, target, settings) else { continue };
        // The outcome depends on the reply. The run must end with every reply.
        let _ = run(&plan, &mut Json::new(sink(), JsonConfig::default()), &AtomicBool::new(false));
    }
});
