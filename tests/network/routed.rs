//! Runs commands on a path with one router: client, router and server are network namespaces.
#![allow(dead_code, reason = "each test file uses only a part of this module")]

#[path = "namespaces.rs"]
mod namespaces;

pub use namespaces::is_possible;

use std::process::{Command, Output};

/// The addresses of the server and of the router, over IPv4 and over IPv6.
pub const ADDRESSES: [(&str, &str); 2] = [("10.77.1.2", "10.77.0.2"), ("fd77:1::2", "fd77::2")];

/// Builds the network. The client has the addresses 10.77.0.1 and `fd77::1`. Then runs the command in the arguments of
/// the script as the client.
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

/// Runs `command` on the client's host. The caller checks with [`is_possible`] that this machine allows namespaces.
pub fn run(command: &[&str]) -> Output {
    Command::new("unshare")
        .args(["-Urnm", "sh", "-c", NETWORK, "sh"])
        .args(command)
        .output()
        .unwrap()
}
