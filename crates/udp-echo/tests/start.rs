//! Tests of the start of `udp-echo`: its addresses, its line on stdout for each socket, and the limits in its
//! log.

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

const SERVER: &str = env!("CARGO_BIN_EXE_udp-echo");

/// Waits until the server has printed `sockets` lines, stops it, and returns its complete stdout and stderr.
fn stdout_and_stderr(mut command: Command, sockets: usize) -> (String, String) {
    let mut server = spawn(&mut command);
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..sockets {
        assert_ne!(stdout.read_line(&mut text).unwrap(), 0, "the server ended after: {text}");
    }
    // At its end, the server writes its totals to the log, so the log is complete up to this point.
    stop(&mut server);
    stdout.read_to_string(&mut text).unwrap();
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    (text, log)
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Stops the server with a signal, or kills it if the system has no signals.
fn stop(server: &mut Child) {
    if cfg!(unix) {
        let kill = Command::new("kill").args(["-s", "INT", &server.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(server.wait().unwrap().code(), Some(0));
    } else {
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

fn server(arguments: &[&str]) -> Command {
    let mut command = Command::new(SERVER);
    command.args(arguments);
    command
}

/// Returns the events with this message from a log in JSON format.
fn events(log: &str, message: &str) -> Vec<Value> {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    events.filter(|event| event["fields"]["message"] == message).collect()
}

#[test]
fn start_event_has_a_field_for_each_active_limit() {
    let listen = ["--listen", "127.0.0.1:0", "--log-format", "json"];
    let (_, log) = stdout_and_stderr(server(&listen), 1);
    let expected = json!({
        "message": "serving",
        "version": env!("CARGO_PKG_VERSION"),
        "workers": 1,
        "allow": "all",
        "rate_per_source": 10_000,
        "rate_per_loopback_source": "unlimited",
        "busy_poll_us": 0,
        "reply_bytes_ipv4": 65_507,
        "reply_bytes_ipv6": 65_527,
        "shutdown_s": 1,
    });
    assert_eq!(events(&log, "serving")[0]["fields"], expected, "{log}");
    assert!(!log.contains("WARN"), "loopback addresses are not exposed: {log}");

    let limits = ["--rate", "7", "--allow", "127.0.0.0/8", "--allow", "::1", "--busy-poll", "50us"];
    let (_, log) = stdout_and_stderr(server(&[&listen[..], &limits[..]].concat()), 1);
    let fields = &events(&log, "serving")[0]["fields"];
    assert_eq!(fields["rate_per_source"], 7);
    assert_eq!(fields["rate_per_loopback_source"], 7);
    assert_eq!(fields["allow"], "127.0.0.0/8,::1/128");
    assert_eq!(fields["busy_poll_us"], 50);
}

#[test]
fn socket_that_other_hosts_can_reach_causes_a_warning() {
    let arguments = ["--listen", "0.0.0.0:0", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let (stdout, log) = stdout_and_stderr(server(&arguments), 2);
    let first = stdout.lines().next().unwrap();
    let exposed = first.strip_prefix("udp-echo listening on ").unwrap();
    assert!(exposed.starts_with("0.0.0.0:") && !exposed.ends_with(":0"), "{stdout}");
    let warnings = log.lines().filter(|line| line.contains(r#""level":"WARN""#));
    let warnings: Vec<Value> = warnings.map(|line| serde_json::from_str(line).unwrap()).collect();
    let [warning] = &warnings[..] else { panic!("{log}") };
    assert_eq!(warning["fields"]["address"], exposed);
    let message = warning["fields"]["message"].as_str().unwrap();
    assert!(message.contains("other hosts can reach"), "{message}");
    assert_eq!(events(&log, "serving").len(), 1);
}

/// The interface `zone0` is in a new network namespace. The server listens on its link-local address with two
/// zones: the name and the number of the interface.
#[cfg(all(target_os = "linux", not(portable)))]
#[test]
fn request_to_a_link_local_address_is_answered() {
    const CLIENT: &str = "
import socket
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.settimeout(10)
for port in (4000, 4001):
    client.sendto(b'hello', ('fe80::1', port, 0, socket.if_nametoindex('zone0')))
    assert client.recv(100) == b'HELLO'
print(socket.if_nametoindex('zone0'), end='')
";
    if !namespaces::is_possible("true") {
        return;
    }
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        let is_required = std::env::var_os("REQUIRE_IPV6").is_some();
        assert!(!is_required, "REQUIRE_IPV6 is set, but this machine has no IPv6");
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    let script = "ip link set lo up && ip link add zone0 type veth peer name zone1 &&
        ip address add fe80::1/64 dev zone0 nodad &&
        ip link set zone0 up && ip link set zone1 up &&
        index=$(ip -o link show zone0 | cut -d: -f1) &&
        exec \"$0\" --listen '[fe80::1%zone0]:4000' --listen \"[fe80::1%$index]:4001\"";
    let mut server = spawn(Command::new("unshare").args(["-Urnm", "sh", "-c", script, SERVER]));
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    let mut lines = String::new();
    while lines.lines().count() < 2 {
        assert_ne!(stdout.read_line(&mut lines).unwrap(), 0, "the server ended after: {lines}");
    }
    let client = Command::new("nsenter")
        .args(["--target", &server.id().to_string(), "--user", "--net", "--preserve-credentials"])
        .args(["python3", "-c", CLIENT])
        .output()
        .unwrap();
    stop(&mut server);
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    let index = String::from_utf8(client.stdout).unwrap();
    let line = |port| format!("udp-echo listening on [fe80::1%{index}]:{port}\n");
    assert_eq!(lines, line(4000) + &line(4001));
}
