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

#[path = "../../../tests/textbook/python.rs"]
mod python;

#[test]
fn the_textbooks_client_is_answered() {
    for host in ["127.0.0.1", "::1"] {
        if host == "::1" && std::net::UdpSocket::bind((host, 0)).is_err() {
            let required = std::env::var_os("REQUIRE_IPV6").is_some();
            assert!(!required, "REQUIRE_IPV6 is set, and this machine has no IPv6");
            eprintln!("SKIPPED: this machine has no IPv6");
            continue;
        }
        let listen = std::net::SocketAddr::new(host.parse().unwrap(), 0).to_string();
        let server = server_process::Running::start(&["--listen", &listen, "--show-messages"]);
        let port = server.address.rsplit(':').next().unwrap().parse().unwrap();
        for (sentence, upper) in [
            ("hello, world", "HELLO, WORLD"),
            ("straße und ŉ", "STRASSE UND ʼN"),
            ("\x1b[31mred", "\x1b[31MRED"),
        ] {
            if let Some(reply) = python::client("tcp_client.py", host, port, sentence) {
                assert_eq!(String::from_utf8(reply).unwrap(), upper);
            }
        }
        #[cfg(unix)]
        {
            server.signal("INT");
            let (status, _, log) = server.rest();
            assert_eq!(status, Some(0));
            assert!(!log.contains('\x1b'), "what peers send is escaped: {log:?}");
        }
    }
}
