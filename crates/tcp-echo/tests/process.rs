//! Tests of the program `tcp-echo`: its output, its reaction to signals, and its exit status.

#[path = "../../../tests/server_process.rs"]
mod server_process;

use server_process::ServerBinary;

const SERVER: ServerBinary = ServerBinary {
    name: "tcp-echo",
    path: env!("CARGO_BIN_EXE_tcp-echo"),
    default_port: 12000,
    limit_options: &[
        "--allow",
        "--rate",
        "--connections",
        "--connections-per-source",
        "--idle",
        "--stall",
    ],
    default_limits: &[
        "workers=1",
        "allow=all",
        "rate_per_source=10000",
        "rate_per_loopback_source=unlimited",
        "busy_poll_us=0",
        "connections_per_source=256",
        "connections_per_loopback_source=unlimited",
        "idle_s=300",
        "stall_s=30",
        "shutdown_s=2",
        "read_bytes=16384",
        "timed_request_bytes=65507",
    ],
    exchange: |address, request| {
        use std::io::{Read as _, Write as _};
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, request.to_uppercase());
    },
};

#[test]
fn start_event_contains_the_limits_of_the_command_line() {
    let mut server = server_process::RunningServer::start(&[
        "--listen=127.0.0.1:0",
        "--connections=7",
        "--connections-per-source=5",
        "--idle=0",
        "--stall=1500ms",
    ]);
    let line = server.log_lines()();
    for limit in [
        "connections=7",
        "connections_per_source=5",
        "connections_per_loopback_source=5",
        "idle_s=unlimited",
        "stall_s=1.5",
    ] {
        assert!(line.split_whitespace().any(|field| field == limit), "{limit}: {line}");
    }
}

#[cfg(all(unix, not(portable)))]
#[test]
fn second_signal_stops_the_server_immediately() {
    use std::io::Write as _;
    let mut server = server_process::RunningServer::start(&["--listen", "127.0.0.1:0"]);
    // This peer does not read. So it delays the shutdown by two seconds.
    let mut not_reading = std::net::TcpStream::connect(&server.address).unwrap();
    not_reading.set_nonblocking(true).unwrap();
    let (chunk, mut failed_writes) = (vec![b'x'; 1 << 16], 0);
    while failed_writes < 20 {
        if not_reading.write(&chunk).is_err() {
            failed_writes += 1;
            std::thread::sleep(std::time::Duration::from_millis(10));
        } else {
            failed_writes = 0;
        }
    }
    server.signal("TERM");
    let mut next_line = server.log_lines();
    let mut line = String::new();
    while !line.contains("ending") {
        assert!(!line.contains("totals"), "{line}");
        line = next_line();
    }
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(143));
}

#[cfg(all(unix, not(portable)))]
#[test]
fn descriptor_limit_reduces_the_number_of_connections() {
    use std::io::{Read as _, Write as _};
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" --listen 127.0.0.1:0", SERVER.path]);
    let server = server_process::RunningServer::spawn(command);
    let connect = || {
        let mut client = std::net::TcpStream::connect(&server.address).unwrap();
        let is_sent = client.write_all(b"x").is_ok();
        let is_served = is_sent && client.read(&mut [0]).is_ok_and(|length| length == 1);
        is_served.then_some(client)
    };
    // The server reserves 16 of the 64 descriptors. It serves 48 connections, and closes further ones immediately.
    let clients: Vec<_> = (0..100).map(|_| connect()).collect();
    assert_eq!(clients.iter().flatten().count(), 48);
    drop(clients);
    let start = std::time::Instant::now();
    while connect().is_none() {
        assert!(start.elapsed().as_secs() < 10, "the server refuses all connections");
    }
    server.signal("TERM");
    let (status, _, log) = server.wait_with_output();
    assert_eq!(status, Some(0));
    assert!(log.contains("ulimit -n"), "{log}");
    assert!(log.contains(" connections=48 "), "{log}");
}
