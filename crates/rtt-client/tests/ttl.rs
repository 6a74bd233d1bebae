//! The option `--ttl`, on a path with one router.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;

use serde_json::Value;
use std::process::{Command, Output};

/// Builds a client (10.77.0.1, fd77::1), a router and a server (10.77.1.2, fd77:1::2). Then runs the client's command
/// line in the arguments of the script.
const NETWORK: &str = "
    set -e
    mount -t tmpfs tmpfs /run; mkdir /run/netns
    for host in c r s; do
        ip netns add $host; ip -n $host link set lo up
        ip netns exec $host sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
    done
    link() { # left, right, the middle of the addresses of IPv4 and IPv6
        ip link add $1$2 netns $1 type veth peer name $2$1 netns $2
        ip -n $1 addr add 10.77.$3.1/24 dev $1$2; ip -n $1 addr add $4::1/64 dev $1$2
        ip -n $2 addr add 10.77.$3.2/24 dev $2$1; ip -n $2 addr add $4::2/64 dev $2$1
        ip -n $1 link set $1$2 up; ip -n $2 link set $2$1 up
    }
    link c r 0 fd77; link r s 1 fd77:1
    ip netns exec r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip -n c route add default via 10.77.0.2; ip -n c route add default via fd77::2
    ip -n s route add default via 10.77.1.1; ip -n s route add default via fd77:1::1
    exec ip netns exec c \"$@\"";

/// Runs the client in the network. Returns the only exchange.
fn exchange(protocol: &str, arguments: &[&str]) -> Value {
    let Output { stdout, stderr, .. } = Command::new("unshare")
        .args(["-Urnm", "sh", "-c", NETWORK, "sh", env!("CARGO_BIN_EXE_rtt-client"), protocol])
        .args(arguments)
        .args(["hello", "--format", "json"])
        .output()
        .unwrap();
    let lines = String::from_utf8(stdout).unwrap();
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .filter(|event| event["type"] == "exchange")
        .last()
        .unwrap_or_else(|| panic!("{lines}{}", String::from_utf8_lossy(&stderr)))
}

#[test]
fn router_reports_a_packet_whose_hop_limit_is_too_small() {
    if !namespaces::is_possible("true") {
        return;
    }
    for (server, router, icmp) in
        [("10.77.1.2", "10.77.0.2", (11, 0)), ("fd77:1::2", "fd77::2", (3, 0))]
    {
        for protocol in ["udp", "tcp"] {
            let failed = exchange(protocol, &[server, "--ttl", "1"]);
            assert_eq!(failed["condition"], "host-unreachable", "{failed}");
            assert_eq!(failed["icmp"]["from"], router, "{failed}");
            assert_eq!(failed["icmp"]["type"], icmp.0, "{failed}");
            assert_eq!(failed["icmp"]["code"], icmp.1, "{failed}");
            // With a larger hop limit, the request arrives. No server runs there.
            let refused = exchange(protocol, &[server, "--ttl", "2"]);
            assert_eq!(refused["condition"], "refused", "{refused}");
        }
    }
}

#[test]
fn hop_limit_of_zero_is_rejected() {
    for ttl in ["0", "256", "-1"] {
        let output = Command::new(env!("CARGO_BIN_EXE_rtt-client"))
            .args(["udp", "127.0.0.1", "hello", &format!("--ttl={ttl}")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{ttl}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("1..=255"), "{output:?}");
    }
}
