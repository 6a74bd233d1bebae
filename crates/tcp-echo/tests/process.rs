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
    limits_of_this_machine: &[
        "connections",
        "reserved_connections",
        "connections_per_ipv6_56_network",
        "connections_per_ipv4_24_or_ipv6_48_network",
        "max_memory_bytes",
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
        "min_transfer_bytes_per_s=1024",
        "shutdown_s=2",
        "read_bytes=16384",
        "timed_request_bytes=65507",
        "receive_buffer_bytes=131072",
        "send_buffer_bytes=131072",
        "unsent_bytes=65536",
        "kernel_bytes_per_connection=663552",
        "process_bytes_per_connection=279436",
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
        "--connections=40",
        "--connections-per-source=5",
        "--idle=0",
        "--stall=1500ms",
    ]);
    let line = server.log_lines()();
    for limit in [
        "connections=40",
        "reserved_connections=2",
        "connections_per_source=5",
        "connections_per_loopback_source=5",
        "connections_per_ipv6_56_network=10",
        "connections_per_ipv4_24_or_ipv6_48_network=20",
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

/// With very few descriptors, the server serves as many connections as the start event states. It refuses the others, and
/// never fails to accept a connection.
#[cfg(all(unix, not(portable)))]
#[test]
fn descriptor_limit_reduces_the_number_of_connections() {
    for (descriptors, arguments) in [(20, ""), (64, ""), (200, "--workers=2")] {
        use std::io::{Read as _, Write as _};
        let script =
            format!("ulimit -n {descriptors}; exec \"$0\" --listen 127.0.0.1:0 {arguments}");
        let script = server_process::shell::without_inherited_descriptors(&script);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, SERVER.path]);
        let server = server_process::RunningServer::spawn(command);
        let connect = || {
            let mut client = std::net::TcpStream::connect(&server.address).unwrap();
            let is_sent = client.write_all(b"x").is_ok();
            let is_served = is_sent && client.read(&mut [0]).is_ok_and(|length| length == 1);
            is_served.then_some(client)
        };
        let clients: Vec<_> = (0..descriptors).map(|_| connect()).collect();
        let served_clients = clients.iter().flatten().count();
        drop(clients);
        let start = std::time::Instant::now();
        while connect().is_none() {
            assert!(start.elapsed().as_secs() < 10, "the server refuses all connections");
        }
        server.signal("TERM");
        let (status, _, log) = server.wait_with_output();
        assert_eq!(status, Some(0));
        assert!(log.contains("ulimit -n") && log.contains(" accept_errors=0 "), "{log}");
        let field = |name| {
            let (_, rest) = log.split_once(name).expect(name);
            rest.split_whitespace().next().unwrap().parse::<usize>().unwrap()
        };
        // All clients are one source, so they do not use the reserve.
        let expected = field(" connections=") - field(" reserved_connections=");
        assert_eq!(served_clients, expected, "{log}");
        // The rest of the process and the reserve need less than 20 descriptors, and a second worker up to 80.
        assert!(
            served_clients + if arguments.is_empty() { 20 } else { 100 } >= descriptors,
            "{log}"
        );
    }
}

#[cfg(all(unix, not(portable)))]
#[test]
fn server_without_a_descriptor_for_a_connection_does_not_start() {
    let mut outputs = (8..20).rev().map(|descriptors| {
        let script =
            format!("ulimit -n {descriptors}; exec \"$0\" --listen 127.0.0.1:0 < /dev/null");
        let script = server_process::shell::without_inherited_descriptors(&script);
        let mut command = std::process::Command::new("timeout");
        command.args(["--signal=TERM", "1", "sh", "-c", &script, SERVER.path]).output().unwrap()
    });
    // With fewer and fewer descriptors, the server first runs, and then reports an error.
    let failed = outputs.find(|output| output.status.code() != Some(124)).expect("a failure");
    let err = String::from_utf8(failed.stderr).unwrap();
    assert_eq!((failed.status.code(), err.lines().count()), (Some(2), 1), "{err}");
    assert!(err.contains("limit on open files (ulimit -n) permits no connection"), "{err}");
}
