//! `tcp-echo` as a process: its lines, its signals, its mistakes.

#[path = "../../../tests/server_process.rs"]
mod server_process;

use server_process::ServerBinary;

const SERVER: ServerBinary = ServerBinary {
    name: "tcp-echo",
    path: env!("CARGO_BIN_EXE_tcp-echo"),
    default_port: 12000,
    ask: |address, request| {
        use std::io::{Read as _, Write as _};
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, request.to_uppercase());
    },
};
