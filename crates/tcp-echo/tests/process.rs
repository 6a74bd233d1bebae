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

/// With very few descriptors, the server serves as many connections as the start event states. It refuses the others,
/// and never fails to accept a connection.
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

#[cfg(all(target_os = "linux", not(portable)))]
#[test]
fn server_without_a_descriptor_for_a_connection_does_not_start() {
    let mut outcomes = (8..20).rev().map(|descriptors| {
        let script = format!("ulimit -n {descriptors}; exec \"$0\" --listen 127.0.0.1:0");
        server_process::restrictions::run(&script, None)
    });
    // The number of descriptors decreases. The server runs until the number is too small, and then reports an error.
    let failed = outcomes.find(|outcome| outcome.status.code() != Some(0)).expect("a failure");
    let err = failed.stderr;
    // The server can receive SIGTERM before it reports the error. Then it also logs the signal.
    let errors = err.lines().filter(|line| !line.contains("signal=\"SIGTERM\"")).count();
    assert_eq!((failed.status.code(), errors), (Some(2), 1), "{err}");
    let message = "limit on open files (ulimit -n) permits no connection: the process can open ";
    assert!(err.contains(message), "{err}");
}

#[cfg(all(unix, not(portable)))]
#[test]
fn totals_of_a_server_that_fails_contain_the_connections_that_it_closes() {
    use server_process::unix::{bound_socket, shut_down, start_with_passed_socket};
    use std::io::{Read as _, Write as _};
    let (listener, address) = bound_socket();
    let (mut server, _) = start_with_passed_socket(listener.try_clone().unwrap(), "1", "");
    let mut client = std::net::TcpStream::connect(&address).unwrap();
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    shut_down(&listener);
    assert_eq!(server.wait().unwrap().code(), Some(1));
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let totals = log.lines().find(|line| line.contains("totals at the failure")).expect(&log);
    for counter in ["connections=1", "accept_errors=1", "closed_at_shutdown=1"] {
        assert!(totals.split_whitespace().any(|field| field == counter), "{counter}: {totals}");
    }
}

/// Each connection has the reply to a large request, and an incomplete large request. The requests have lengths at which
/// an incomplete request starts shortly after the start of the server's buffer.
#[cfg(all(target_os = "linux", not(portable)))]
#[test]
fn process_memory_of_256_slow_readers_is_within_its_bound() {
    use echo_core::header::{HEADER_LEN, request_header};
    use socket2::{Domain, Socket, Type};
    use std::io::{Read as _, Write as _};
    use tcp_echo::{MAX_PROCESS_MEMORY_PER_CONNECTION, MAX_TIMED_REQUEST_SIZE};
    const CLIENTS: usize = 256;
    /// The receive buffer of a client. It is small, so that most of the last reply stays in the server.
    const RECEIVE_BUFFER: usize = 4096;
    assert_eq!(MAX_PROCESS_MEMORY_PER_CONNECTION.div_ceil(1024), 273);
    let server = server_process::RunningServer::start(&["--listen=127.0.0.1:0", "--stall=0"]);
    let address: std::net::SocketAddr = server.address.parse().unwrap();
    // The upper case of U+0390 is three times as long.
    let texts = [
        "x".repeat(MAX_TIMED_REQUEST_SIZE - HEADER_LEN),
        "abcd".to_owned(),
        "x".repeat(MAX_TIMED_REQUEST_SIZE - HEADER_LEN),
        "\u{390}".repeat((MAX_TIMED_REQUEST_SIZE - HEADER_LEN) / 2),
        "x".repeat(MAX_TIMED_REQUEST_SIZE - HEADER_LEN),
    ];
    let length_before_last = texts[..3].iter().map(|text| HEADER_LEN + text.len()).sum::<usize>();
    let mut requests = Vec::new();
    for text in texts {
        requests.extend_from_slice(&request_header(HEADER_LEN + text.len()));
        requests.extend_from_slice(text.as_bytes());
    }
    let before = anonymous_memory(server.process.id());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
            client.connect(&address.into()).unwrap();
            let mut client = std::net::TcpStream::from(client);
            let (mut sender, requests) = (client.try_clone().unwrap(), &requests);
            std::thread::scope(|scope| {
                scope.spawn(move || sender.write_all(requests).unwrap());
                // The server has created the last reply when its first byte arrives.
                client.read_exact(&mut vec![0; length_before_last + 1]).unwrap();
            });
            client
        })
        .collect();
    // The server runs one step at a time, so the last reply of each client is now complete.
    (SERVER.exchange)(&server.address, "hello");
    let used = anonymous_memory(server.process.id()) - before;
    println!("{} bytes for each of {CLIENTS} connections", used / CLIENTS);
    // The clients have not read most of the last reply.
    assert!(used > CLIENTS * 2 * MAX_TIMED_REQUEST_SIZE, "{used}");
    assert!(used <= CLIENTS * MAX_PROCESS_MEMORY_PER_CONNECTION, "{used}");
    drop(clients);
}

/// The memory of a process that belongs to no file, in bytes (`/proc/PID/status`).
#[cfg(all(target_os = "linux", not(portable)))]
fn anonymous_memory(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}
