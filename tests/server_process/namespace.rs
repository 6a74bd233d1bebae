//! Tests in a network namespace: default port, missing IPv6, link-local addresses, missing privileges.

#[path = "../network/namespaces.rs"]
mod namespaces;

use super::super::SERVER;
use super::process::{RunningServer, has_ipv6};
use std::process::{Command, Stdio};

/// Returns the command that runs a shell script in a new network namespace. In the script, `$0` is the path of the
/// server. Returns `None` if network namespaces are not available.
fn in_namespace(script: &str) -> Option<Command> {
    if !namespaces::is_possible("true") {
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-Urnm", "sh", "-c", script, SERVER.path]).stdin(Stdio::null());
    Some(command)
}

/// Stops the server. Asserts that stdout contains no more lines, and returns stderr.
fn stop(server: RunningServer) -> String {
    server.signal("TERM");
    let (status, out, err) = server.wait_with_output();
    assert_eq!((status, out.as_str()), (Some(0), ""), "{err}");
    err
}

#[test]
fn default_addresses_are_the_ipv4_and_the_ipv6_loopback_address() {
    if !has_ipv6() {
        return;
    }
    let Some(command) = in_namespace("ip link set lo up && exec \"$0\"") else { return };
    let mut server = RunningServer::spawn(command);
    assert_eq!(server.address, format!("127.0.0.1:{}", SERVER.default_port));
    assert_eq!(server.read_address(), format!("[::1]:{}", SERVER.default_port));
    let err = stop(server);
    assert!(!err.contains("other hosts can reach"), "{err}");
}

#[test]
fn default_address_without_ipv6_is_ipv4_only() {
    let script = "ip link set lo up && { ip -6 address flush dev lo; exec \"$0\"; }";
    let Some(command) = in_namespace(script) else { return };
    let server = RunningServer::spawn(command);
    assert_eq!(server.address, format!("127.0.0.1:{}", SERVER.default_port));
    let err = stop(server);
    assert!(err.contains("no IPv6"), "{err}");
}

/// The server listens twice on the link-local address of the interface `zone0`. The zone of the first address is the
/// name of the interface, and the zone of the second address is the number of the interface.
#[test]
fn zone_of_a_link_local_address_is_a_name_or_a_number() {
    const CLIENT: &str = "
import socket, sys
zone = socket.if_nametoindex('zone0')
for port in (4000, 4001):
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if sys.argv[1] == 'udp-echo' else socket.SOCK_STREAM)
    client.settimeout(10)
    client.connect(('fe80::1', port, 0, zone))
    client.send(b'hello')
    assert client.recv(100) == b'HELLO'
print(zone, end='')
";
    let script = "ip link set lo up && ip link add zone0 type veth peer name zone1 &&
        ip address add fe80::1/64 dev zone0 nodad &&
        ip link set zone0 up && ip link set zone1 up &&
        index=$(ip -o link show zone0 | cut -d: -f1) &&
        exec \"$0\" --listen '[fe80::1%zone0]:4000' --listen \"[fe80::1%$index]:4001\"";
    if !has_ipv6() {
        return;
    }
    let Some(command) = in_namespace(script) else { return };
    let mut server = RunningServer::spawn(command);
    let addresses = [server.address.clone(), server.read_address()];
    let client = Command::new("nsenter")
        .args(["--target", &server.process.id().to_string()])
        .args(["--user", "--net", "--preserve-credentials"])
        .args(["python3", "-c", CLIENT, SERVER.name])
        .output()
        .unwrap();
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
    let zone = String::from_utf8(client.stdout).unwrap();
    assert_eq!(addresses, [4000, 4001].map(|port| format!("[fe80::1%{zone}]:{port}")));
    stop(server);
}

#[test]
fn port_without_permission_is_reported_in_one_line_with_status_2() {
    // The network namespace belongs to the first user namespace. The second user namespace has no privileges
    // in the network namespace.
    let script = "ip link set lo up && exec unshare -U \"$0\" --listen 127.0.0.1:80";
    let Some(mut command) = in_namespace(script) else { return };
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with(&format!("{}: cannot listen on 127.0.0.1:80 ", SERVER.name)), "{err}");
    assert!(err.contains("ports below 1024 need privileges"), "{err}");
    assert!(err.contains("Permission denied"), "{err}");
}
