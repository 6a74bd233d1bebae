//! `udp-echo` as a process: its lines, its signals, its mistakes.

#[path = "../../../tests/server_process.rs"]
mod server_process;

use server_process::ServerBinary;

const SERVER: ServerBinary = ServerBinary {
    name: "udp-echo",
    path: env!("CARGO_BIN_EXE_udp-echo"),
    default_port: 25000,
    limits: &["--allow", "--rate"],
    ask: |address, request| {
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        client.send_to(request.as_bytes(), address).unwrap();
        let mut reply = [0; 2048];
        let length = client.recv(&mut reply).unwrap();
        assert_eq!(&reply[..length], request.to_uppercase().as_bytes());
    },
};
