//! Tests of `udp-echo` as a process: its output, its signals, and its errors.

#[path = "../../../tests/server_process.rs"]
mod server_process;

use server_process::ServerBinary;

const SERVER: ServerBinary = ServerBinary {
    name: "udp-echo",
    path: env!("CARGO_BIN_EXE_udp-echo"),
    default_port: 25000,
    limit_options: &["--allow", "--rate"],
    limits_of_this_machine: &["max_memory_bytes_per_socket", "max_memory_bytes"],
    default_limits: &[
        "workers=1",
        "allow=all",
        "rate_per_source=10000",
        "rate_per_loopback_source=unlimited",
        "busy_poll_us=0",
        "reply_bytes_ipv4=65507",
        "reply_bytes_ipv6=65527",
        "shutdown_s=1",
    ],
    exchange: |address, request| {
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        client.send_to(request.as_bytes(), address).unwrap();
        let mut reply = [0; 2048];
        let length = client.recv(&mut reply).unwrap();
        assert_eq!(&reply[..length], request.to_uppercase().as_bytes());
    },
};

#[cfg(all(unix, not(portable)))]
#[test]
fn datagram_that_waits_in_a_passed_socket_is_answered() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    // On Linux, the loopback interface has many addresses. The reply must come from the destination address
    // of the request.
    let host = if cfg!(target_os = "linux") { "127.0.0.5" } else { "127.0.0.1" };
    client.connect((host, port)).unwrap();
    client.send(b"before the start").unwrap();
    let (mut server, _) = server_process::unix::start_with_passed_socket(socket, "1", "");
    let mut reply = [0; 100];
    let length = client.recv(&mut reply).unwrap();
    assert_eq!(&reply[..length], b"BEFORE THE START");
    server_process::send_signal(&server, "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[cfg(all(unix, not(portable)))]
#[test]
fn passed_socket_for_both_ip_versions_is_refused() {
    use std::io::Read as _;
    let Ok(socket) = std::net::UdpSocket::bind("[::]:0") else {
        let is_required = std::env::var_os("REQUIRE_IPV6").is_some();
        assert!(!is_required, "REQUIRE_IPV6 is set, but this machine has no IPv6");
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    };
    let (mut server, line) = server_process::unix::start_with_passed_socket(socket, "1", "");
    assert_eq!((line.as_str(), server.wait().unwrap().code()), ("", Some(2)));
    let mut error = String::new();
    server.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("BindIPv6Only=ipv6-only"), "{error}");
}
