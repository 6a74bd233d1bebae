//! `udp-echo` as a process: its lines, its signals, its mistakes.

#[path = "../../../tests/server_process.rs"]
mod server_process;

use server_process::ServerBinary;

const SERVER: ServerBinary = ServerBinary {
    name: "udp-echo",
    path: env!("CARGO_BIN_EXE_udp-echo"),
    default_port: 25000,
    ask: |address, request| {
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        client.send_to(request.as_bytes(), address).unwrap();
        let mut reply = [0; 2048];
        let length = client.recv(&mut reply).unwrap();
        assert_eq!(&reply[..length], request.to_uppercase().as_bytes());
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
            if let Some(reply) = python::client("udp_client.py", host, port, sentence) {
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
