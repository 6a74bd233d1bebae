//! `tcp-echo` as a process: its lines, its signals, its mistakes.

#[path = "../../../tests/server_process.rs"]
mod server_process;

use server_process::ServerBinary;

const SERVER: ServerBinary = ServerBinary {
    name: "tcp-echo",
    path: env!("CARGO_BIN_EXE_tcp-echo"),
    default_port: 12000,
    limits: &[
        "--allow",
        "--rate",
        "--connections",
        "--connections-per-source",
        "--idle",
        "--stall",
    ],
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

#[cfg(all(unix, not(portable)))]
#[test]
fn a_second_signal_ends_it_at_once() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let mut server = server_process::Running::start(&["--listen", "127.0.0.1:0"]);
    // A peer that does not read has two seconds at the end, if nobody is in a hurry.
    let mut glutton = std::net::TcpStream::connect(&server.address).unwrap();
    glutton.set_nonblocking(true).unwrap();
    let (chunk, mut quiet) = (vec![b'x'; 1 << 16], 0);
    while quiet < 20 {
        if glutton.write(&chunk).is_err() {
            quiet += 1;
            std::thread::sleep(std::time::Duration::from_millis(10));
        } else {
            quiet = 0;
        }
    }
    server.signal("TERM");
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("ending") {
        assert!(!line.contains("totals"), "{line}");
        line.clear();
        log.read_line(&mut line).unwrap();
    }
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(143));
}

#[cfg(all(unix, not(portable)))]
#[test]
fn it_allows_no_more_connections_than_there_are_descriptors_for() {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    let mut server = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --listen 127.0.0.1:0", SERVER.path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(server.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let address = line.trim().rsplit(' ').next().unwrap();
    let let_in = || {
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let asked = client.write_all(b"x").is_ok();
        let is_served = asked && client.read(&mut [0]).is_ok_and(|length| length == 1);
        is_served.then_some(client)
    };
    // 64 less a quarter for everything else; what is beyond is told so, and does not wait.
    let clients: Vec<_> = (0..100).map(|_| let_in()).collect();
    assert_eq!(clients.iter().flatten().count(), 48);
    drop(clients);
    let begun = std::time::Instant::now();
    while let_in().is_none() {
        assert!(begun.elapsed().as_secs() < 10, "nobody is let in any more");
    }
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("ulimit -n"), "{log}");
}
