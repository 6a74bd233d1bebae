"""Runs `rtt-client diagnose` in a network with servers that do not answer, for many different reasons.

    client (10.78.0.1, fd78::1) -- router (.254, ::fe) -- server (10.78.1.2, fd78:1::2)

Each host is a network namespace. The router has firewall rules. Run the script in a new user, network and mount
namespace. Many systems allow this without privileges:

    unshare -Urnm python3 absent.py UDP-SERVER TCP-SERVER CLIENT [CASE...]

The output is one line of JSON: the findings for each case and each version of IP. If the arguments contain cases, the
script runs only these cases, one after another over IPv4, and shows the client's output.
"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from namespaces import enter, sh

ADDRESSES = {
    4: {"client": "10.78.0.1", "router": "10.78.0.254", "server": "10.78.1.2", "down": "10.78.1.77",
        "down on link": "10.78.0.77", "no route": "203.0.113.1", "no route on router": "10.79.0.1",
        "prohibited": "10.90.0.1", "blackhole": "10.91.0.1", "unreachable": "10.92.0.1", "loop": "10.80.0.1",
        "no ping": "10.78.1.3"},
    6: {"client": "fd78::1", "router": "fd78::fe", "server": "fd78:1::2", "down": "fd78:1::77",
        "down on link": "fd78::77", "no route": "2001:db8::1", "no route on router": "fd79::1",
        "prohibited": "fd90::1", "blackhole": "fd91::1", "unreachable": "fd92::1", "loop": "fd80::1",
        "no ping": "fd78:1::3"},
}

# Firewall rules that reject requests to a port with an ICMP error. The value is nft's name of the error.
REJECTS = {
    4: {7100: "net-unreachable", 7101: "host-unreachable", 7102: "prot-unreachable", 7103: "port-unreachable",
        7109: "net-prohibited", 7110: "host-prohibited", 7113: "admin-prohibited"},
    6: {7200: "no-route", 7201: "admin-prohibited", 7203: "addr-unreachable", 7204: "port-unreachable",
        7205: "policy-fail", 7206: "reject-route"},
}

# Name of the case: (key of the target in ADDRESSES, port, timeout in seconds if it is not 5).
CASES = {
    # A router without a route limits the rate of its errors to each client (`ip_error`, net/ipv4/route.c). This case is
    # first, so that the limit does not suppress its errors.
    "no route from the router": ("no route on router", 7777),
    "an echo server of this project": ("server", 7777),
    "a plain echo server": ("server", 7001),
    "a server behind a firewall that drops echo requests": ("no ping", 7777),
    "a closed port": ("server", 9),
    "a host that is down, behind a router": ("down", 7777),
    "a host that is down, on the client's link": ("down on link", 7777),
    "the same host, with a timeout of 1 s": ("down on link", 7777, 1),
    "no route from the client": ("no route", 7777),
    "a routing loop": ("loop", 7777),
    "a prohibit route on the client": ("prohibited", 7777),
    "a blackhole route on the client": ("blackhole", 7777),
    "an unreachable route on the client": ("unreachable", 7777),
    "a firewall that drops requests": ("server", 7010),
    "a firewall that drops replies": ("server", 7011),
    "a firewall that sends a TCP reset": ("server", 7020),
    "a local firewall rule that drops requests": ("server", 7030),
    "a server that closes the connection": ("server", 7040),
    "a server that closes the connection in the middle of its reply": ("server", 7041),
    "a server that resets the connection": ("server", 7042),
    "a server that does not reply": ("server", 7043),
    "a server that sends a wrong reply": ("server", 7044),
    "a server that replies from its other address": ("no ping", 7045),
    "a server that does not reply, while another flow receives ICMP errors": ("server", 7043),
}


def build_network():
    sh("mount -t tmpfs tmpfs /run && mkdir /run/netns")
    for namespace in ("c", "r", "s"):
        sh(f"ip netns add {namespace}")
        sh(f"ip -n {namespace} link set lo up")
        # Duplicate address detection would delay the use of an address. No two hosts here have the same address.
        sh(f"ip netns exec {namespace} sysctl -q net.ipv6.conf.default.accept_dad=0")
        sh(f"ip netns exec {namespace} sysctl -q net.ipv6.conf.all.accept_dad=0")
    for left, right, subnet in (("c", "r", 0), ("r", "s", 1)):
        sh(f"ip link add {left}{right} netns {left} type veth peer name {right}{left} netns {right}")
        for end, other in ((left, right), (right, left)):
            host = {"c": ("1", "1"), "r": ("254", "fe"), "s": ("2", "2")}[end]
            prefix = "fd78::" if subnet == 0 else "fd78:1::"
            sh(f"ip -n {end} addr add 10.78.{subnet}.{host[0]}/24 dev {end}{other}")
            sh(f"ip -n {end} addr add {prefix}{host[1]}/64 dev {end}{other} nodad")
            sh(f"ip -n {end} link set {end}{other} up")
    # A second address of the server. The router drops echo requests to it. With "preferred_lft 0", the server does not
    # select it as the source address of other packets.
    sh("ip -n s addr add 10.78.1.3/24 dev sr && ip -n s addr add fd78:1::3/64 dev sr nodad preferred_lft 0")
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        for host in ("r", "s"):
            sh(f"ip netns exec {host} sysctl -q {name}=1")
    # The kernel sends three requests for the link address of a neighbour, with `retrans_time_ms` between them. Then it
    # discards the waiting datagrams (`neigh_invalidate`, net/core/neighbour.c). With these values, the kernel does not
    # discard them at the moment when the client's next datagram arrives.
    for host, device, milliseconds in (("c", "cr", 800), ("r", "rs", 400)):
        for version in (4, 6):
            sh(f"ip netns exec {host} sysctl -q net.ipv{version}.neigh.{device}.retrans_time_ms={milliseconds}")
    # By default, a host sends only a few ICMP errors per second. All cases run at the same time, so the limit is removed.
    for host in ("r", "s", "c"):
        for name in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
            sh(f"ip netns exec {host} sysctl -q {name}=0")
    for v4, v6 in (("10.78.1.0/24", "fd78:1::/64"), ("10.79.0.0/16", "fd79::/16"), ("10.80.0.0/16", "fd80::/16")):
        sh(f"ip -n c route add {v4} via 10.78.0.254")
        sh(f"ip -n c route add {v6} via fd78::fe")
    # The routing loop: the router sends these packets to the server. The server's default route is the router.
    sh("ip -n r route add 10.80.0.0/16 via 10.78.1.2 && ip -n r route add fd80::/16 via fd78:1::2")
    sh("ip -n c route add prohibit 10.90.0.0/16 && ip -n c route add prohibit fd90::/16")
    sh("ip -n c route add unreachable 10.92.0.0/16 && ip -n c route add unreachable fd92::/16")
    sh("ip -n c route add blackhole 10.91.0.0/16 && ip -n c route add blackhole fd91::/16")
    sh("ip -n s route add default via 10.78.1.254 && ip -n s route add default via fd78:1::fe")
    rules = ["table inet lab {", "chain forward { type filter hook forward priority 0;"]
    rules += ["th dport 7010 drop", "th sport 7011 drop", "tcp dport 7020 reject with tcp reset"]
    rules += [f"ip daddr {ADDRESSES[4]['no ping']} icmp type echo-request drop",
              f"ip6 daddr {ADDRESSES[6]['no ping']} icmpv6 type echo-request drop"]
    for version, family in ((4, "icmp"), (6, "icmpv6")):
        nfproto = "ipv4" if version == 4 else "ipv6"
        for port, kind in REJECTS[version].items():
            rules.append(f"meta nfproto {nfproto} meta l4proto {{tcp, udp}} th dport {port} reject with {family} type {kind}")
    add_rules("r", "\n".join(rules + ["}", "}"]))
    add_rules("c", "table inet lab {\nchain output { type filter hook output priority 0;\nth dport 7030 drop\n}\n}")


def add_rules(namespace, rules):
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=rules, text=True, check=True)


def bind(kind, family, port):
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((("0.0.0.0", "::")[family == socket.AF_INET6], port))
    return listener


def serve_udp(port, reply_to):
    """Starts a UDP server that answers each datagram with `reply_to(request)`. The server sends no reply
    if this value is None."""
    for family in (socket.AF_INET, socket.AF_INET6):
        listener = bind(socket.SOCK_DGRAM, family, port)

        def run(listener=listener):
            while True:
                request, client = listener.recvfrom(65536)
                reply = reply_to(request)
                if reply is not None:
                    listener.sendto(reply, client)

        threading.Thread(target=run, daemon=True).start()


def serve_tcp(port, handle):
    """Starts a TCP server that calls `handle(connection, request)` with the first bytes of each connection. The server
    does not close the connections."""
    for family in (socket.AF_INET, socket.AF_INET6):
        listener = bind(socket.SOCK_STREAM, family, port)
        listener.listen(16)

        def run(listener=listener):
            connections = []
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                handle(connection, connection.recv(4096))

        threading.Thread(target=run, daemon=True).start()


def send_reset(connection, _):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send_half(connection, request):
    connection.sendall(request.upper()[: len(request) // 2])
    time.sleep(0.05)
    connection.shutdown(socket.SHUT_RDWR)


def run_other_servers(ready):
    """Runs the servers that are not programs of this project, in a separate process."""
    enter("s")
    wrong_reply = b"220 mail.example \x1b[2J ESMTP\r\n"
    for port in (7001, 7010, 7011, 7020, 7030, *REJECTS[4], *REJECTS[6]):
        serve_udp(port, lambda request: request.upper())
        serve_tcp(port, lambda connection, request: connection.sendall(request.upper()))
    for port in (7040, 7041, 7042, 7043):
        serve_udp(port, lambda request: None)
    # The kernel selects the source address of a reply. It is the first address of the host.
    serve_udp(7045, lambda request: request.upper())
    serve_udp(7044, lambda request: wrong_reply)
    serve_tcp(7040, lambda connection, request: connection.shutdown(socket.SHUT_RDWR))
    serve_tcp(7041, send_half)
    serve_tcp(7042, send_reset)
    serve_tcp(7043, lambda connection, request: None)
    serve_tcp(7044, lambda connection, request: connection.sendall(wrong_reply))
    os.write(ready, b"x")
    signal.pause()


def run_other_flow():
    """Sends datagrams to a closed port. Their ICMP errors must not appear in the client's findings."""
    enter("c")
    sockets = [(version, socket.socket(family, socket.SOCK_DGRAM))
               for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6))]
    while True:
        for version, sender in sockets:
            sender.sendto(b"another flow", (ADDRESSES[version]["server"], 9))
        time.sleep(0.05)


def contact_server():
    """Exchanges packets with the server. Then every host has the link addresses of its neighbours. Without these
    addresses, the first packet of a case can be lost or late."""
    enter("c")
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        server = (ADDRESSES[version]["server"], 7001)
        socket.create_connection(server, timeout=20).close()
        probe = socket.socket(family, socket.SOCK_DGRAM)
        probe.settimeout(20)
        probe.sendto(b"probe", server)
        probe.recv(100)


def fork(run, *arguments):
    child = os.fork()
    if child == 0:
        try:
            run(*arguments)
        finally:
            os._exit(0)
    return child


def command(client, version, case, output):
    """Returns the arguments of the client for a case, and the whole command line."""
    host, port, *timeout = case
    address = ADDRESSES[version][host]
    target = f"[{address}]:{port}" if version == 6 else f"{address}:{port}"
    arguments = ["diagnose", target, "-W", str(timeout[0] if timeout else 5), *output]
    return arguments, ["ip", "netns", "exec", "c", client, *arguments]


def show(client, names):
    for name in names:
        arguments, line = command(client, 4, CASES[name], [])
        print(f"--- {name}\n$ rtt-client {' '.join(arguments)}\n", flush=True)
        subprocess.run(line, timeout=30)


def run_all(client):
    cases = [(name, version, case) for name, case in CASES.items() for version in (4, 6)]
    for version in (4, 6):
        for port, kind in REJECTS[version].items():
            cases.append((f"a firewall that rejects with {kind}", version, ("server", port)))
    running = []
    for name, version, case in cases:
        _, line = command(client, version, case, ["--format", "json"])
        running.append((name, version, subprocess.Popen(line, stdout=subprocess.PIPE, text=True)))
        # The cases start 50 ms apart, because the machine can have few processors.
        time.sleep(0.05)
    results = []
    for name, version, process in running:
        output = process.communicate(timeout=30)[0]
        findings = [json.loads(line) for line in output.splitlines()]
        results.append({"case": name, "version": version, "status": process.returncode, "findings": findings})
    print(json.dumps(results))


def main():
    udp_server, tcp_server, client, *names = sys.argv[1:]
    build_network()
    is_ready, ready = os.pipe()
    children = [fork(run_other_servers, ready)]
    os.read(is_ready, 1)
    servers = [
        subprocess.Popen(["ip", "netns", "exec", "s", server, "--listen", "10.78.1.2:7777",
                          "--listen", "[fd78:1::2]:7777", "--listen", "10.78.1.3:7777",
                          "--listen", "[fd78:1::3]:7777"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for server in (udp_server, tcp_server)
    ]
    for server in servers:
        server.stdout.readline()
    os.waitpid(fork(contact_server), 0)
    children.append(fork(run_other_flow))
    try:
        if names:
            show(client, names)
        else:
            run_all(client)
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait()
        for child in children:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)


main()
