"""A network in which servers are absent in every way: what the client's `diagnose` sees there.

    client (10.78.0.1, fd78::1) -- router (.254, ::fe) -- server (10.78.1.2, fd78:1::2)

Each is a network namespace; the router has firewall rules. Run it in a user, network and mount namespace of
its own, which needs no privileges where the system allows it:

    unshare -Urnm python3 absent.py OUR-UDP-SERVER OUR-TCP-SERVER CLIENT [ROW...]

What comes out is a line of JSON: for each row and version of IP the findings and how long it took. With rows
named, these are run one after the other over IPv4, and what they print is shown as it is.
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
        "link": "10.78.0.77", "nowhere": "203.0.113.1", "beyond": "10.79.0.1", "forbidden": "10.90.0.1",
        "hole": "10.91.0.1", "loop": "10.80.0.1"},
    6: {"client": "fd78::1", "router": "fd78::fe", "server": "fd78:1::2", "down": "fd78:1::77",
        "link": "fd78::77", "nowhere": "2001:db8::1", "beyond": "fd79::1", "forbidden": "fd90::1",
        "hole": "fd91::1", "loop": "fd80::1"},
}

# Firewalls that say no, by port: nft's name of the ICMP error.
REJECTS = {
    4: {7100: "net-unreachable", 7101: "host-unreachable", 7102: "prot-unreachable", 7103: "port-unreachable",
        7109: "net-prohibited", 7110: "host-prohibited", 7113: "admin-prohibited"},
    6: {7200: "no-route", 7201: "admin-prohibited", 7203: "addr-unreachable", 7204: "port-unreachable",
        7205: "policy-fail", 7206: "reject-route"},
}

# A row's name: whose address, port, and the time-out where 5 s are not wanted.
ROWS = {
    # Before all others: a router says so for one client no more often than its other errors allow
    # (`ip_error`, net/ipv4/route.c).
    "no route from the router": ("beyond", 7777),
    "an echo server of ours": ("server", 7777),
    "a plain echo server": ("server", 7001),
    "a closed port": ("server", 9),
    "a host that is down, behind a router": ("down", 7777),
    "a host that is down, on the client's link": ("link", 7777),
    "the same, with a time-out of 1 s": ("link", 7777, 1),
    "no route from the client": ("nowhere", 7777),
    "a routing loop": ("loop", 7777),
    "a route that prohibits, on the client": ("forbidden", 7777),
    "a route that is a black hole, on the client": ("hole", 7777),
    "a firewall that swallows requests": ("server", 7010),
    "a firewall that swallows replies": ("server", 7011),
    "a firewall that sends a TCP reset": ("server", 7020),
    "a local rule that drops what leaves": ("server", 7030),
    "a server that closes": ("server", 7040),
    "a server that closes amid its answer": ("server", 7041),
    "a server that resets": ("server", 7042),
    "a server that is mute": ("server", 7043),
    "a server that answers garbage": ("server", 7044),
    "a mute server, while another flow gets ICMP errors": ("server", 7043),
}


def build():
    sh("mount -t tmpfs tmpfs /run && mkdir /run/netns")
    for namespace in ("c", "r", "s"):
        sh(f"ip netns add {namespace}")
        sh(f"ip -n {namespace} link set lo up")
        # Nobody else is there to have the same address, so nobody has to wait to find out.
        sh(f"ip netns exec {namespace} sysctl -q net.ipv6.conf.default.accept_dad=0")
        sh(f"ip netns exec {namespace} sysctl -q net.ipv6.conf.all.accept_dad=0")
    for left, right, there in (("c", "r", 0), ("r", "s", 1)):
        sh(f"ip link add {left}{right} netns {left} type veth peer name {right}{left} netns {right}")
        for end, other in ((left, right), (right, left)):
            host = {"c": ("1", "1"), "r": ("254", "fe"), "s": ("2", "2")}[end]
            six = "fd78::" if there == 0 else "fd78:1::"
            sh(f"ip -n {end} addr add 10.78.{there}.{host[0]}/24 dev {end}{other}")
            sh(f"ip -n {end} addr add {six}{host[1]}/64 dev {end}{other} nodad")
            sh(f"ip -n {end} link set {end}{other} up")
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        for host in ("r", "s"):
            sh(f"ip netns exec {host} sysctl -q {name}=1")
    # How long a neighbour is asked for, a third of it at a time: not until just when the next request comes, which
    # can make the kernel forget those that wait (`neigh_invalidate`, net/core/neighbour.c).
    for host, device, milliseconds in (("c", "cr", 800), ("r", "rs", 400)):
        for version in (4, 6):
            sh(f"ip netns exec {host} sysctl -q net.ipv{version}.neigh.{device}.retrans_time_ms={milliseconds}")
    # Errors are limited to a few a second, and all rows run at once.
    for host in ("r", "s", "c"):
        for name in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
            sh(f"ip netns exec {host} sysctl -q {name}=0")
    for four, six in (("10.78.1.0/24", "fd78:1::/64"), ("10.79.0.0/16", "fd79::/16"), ("10.80.0.0/16", "fd80::/16")):
        sh(f"ip -n c route add {four} via 10.78.0.254")
        sh(f"ip -n c route add {six} via fd78::fe")
    # The server sends back what it does not know.
    sh("ip -n r route add 10.80.0.0/16 via 10.78.1.2 && ip -n r route add fd80::/16 via fd78:1::2")
    sh("ip -n c route add prohibit 10.90.0.0/16 && ip -n c route add prohibit fd90::/16")
    sh("ip -n c route add blackhole 10.91.0.0/16 && ip -n c route add blackhole fd91::/16")
    sh("ip -n s route add default via 10.78.1.254 && ip -n s route add default via fd78:1::fe")
    rules = ["table inet lab {", "chain forward { type filter hook forward priority 0;"]
    rules += ["th dport 7010 drop", "th sport 7011 drop", "tcp dport 7020 reject with tcp reset"]
    for version, family in ((4, "icmp"), (6, "icmpv6")):
        nfproto = "ipv4" if version == 4 else "ipv6"
        for port, kind in REJECTS[version].items():
            rules.append(f"meta nfproto {nfproto} meta l4proto {{tcp, udp}} th dport {port} reject with {family} type {kind}")
    nft("r", "\n".join(rules + ["}", "}"]))
    nft("c", "table inet lab {\nchain output { type filter hook output priority 0;\nth dport 7030 drop\n}\n}")


def nft(namespace, rules):
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=rules, text=True, check=True)


def serve_udp(port, answer):
    for family in (socket.AF_INET, socket.AF_INET6):
        listener = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((("0.0.0.0", "::")[family == socket.AF_INET6], port))

        def run(listener=listener):
            while True:
                text, client = listener.recvfrom(65536)
                reply = answer(text)
                if reply is not None:
                    listener.sendto(reply, client)

        threading.Thread(target=run, daemon=True).start()


def serve_tcp(port, answer):
    for family in (socket.AF_INET, socket.AF_INET6):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((("0.0.0.0", "::")[family == socket.AF_INET6], port))
        listener.listen(16)

        def run(listener=listener):
            kept = []
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                answer(connection, connection.recv(4096))

        threading.Thread(target=run, daemon=True).start()


def reset(connection, _):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def half(connection, text):
    connection.sendall(text.upper()[: len(text) // 2])
    time.sleep(0.05)
    connection.shutdown(socket.SHUT_RDWR)


def other_servers(ready):
    """Servers that are none of ours: a process of its own."""
    enter("s")
    garbage = b"220 mail.example \x1b[2J ESMTP\r\n"
    for port in (7001, 7010, 7011, 7020, 7030, *REJECTS[4], *REJECTS[6]):
        serve_udp(port, lambda text: text.upper())
        serve_tcp(port, lambda connection, text: connection.sendall(text.upper()))
    for port in (7040, 7041, 7042, 7043):
        serve_udp(port, lambda text: None)
    serve_udp(7044, lambda text: garbage)
    serve_tcp(7040, lambda connection, text: connection.shutdown(socket.SHUT_RDWR))
    serve_tcp(7041, half)
    serve_tcp(7042, reset)
    serve_tcp(7043, lambda connection, text: None)
    serve_tcp(7044, lambda connection, text: connection.sendall(garbage))
    os.write(ready, b"x")
    signal.pause()


def another_flow():
    """Datagrams to a closed port, whose ICMP errors are nobody else's."""
    enter("c")
    sockets = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
    while True:
        for its, version in zip(sockets, (4, 6)):
            its.sendto(b"another flow", (ADDRESSES[version]["server"], 9))
        time.sleep(0.05)


def reach_the_server():
    """Until neighbours know each other, a first packet can be lost or late."""
    enter("c")
    for version in (4, 6):
        socket.create_connection((ADDRESSES[version]["server"], 7001), timeout=20).close()
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        asking = socket.socket(family, socket.SOCK_DGRAM)
        asking.settimeout(20)
        asking.sendto(b"is the way known?", (ADDRESSES[version]["server"], 7001))
        asking.recv(100)


def fork(run, *arguments):
    child = os.fork()
    if child == 0:
        try:
            run(*arguments)
        finally:
            os._exit(0)
    return child


def command(client, version, row, json_lines):
    whose, port, *timeout = row
    address = ADDRESSES[version][whose]
    target = f"[{address}]:{port}" if version == 6 else f"{address}:{port}"
    form = ["--format", "json"] if json_lines else []
    line = ["diagnose", target, "-W", str(timeout[0] if timeout else 5), *form]
    return line, ["ip", "netns", "exec", "c", client, *line]


def main():
    udp_server, tcp_server, client, *wanted = sys.argv[1:]
    build()
    is_ready, ready = os.pipe()
    started = [fork(other_servers, ready)]
    os.read(is_ready, 1)
    ours = [
        subprocess.Popen(["ip", "netns", "exec", "s", server, "--listen", "10.78.1.2:7777",
                          "--listen", "[fd78:1::2]:7777"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for server in (udp_server, tcp_server)
    ]
    for server in ours:
        server.stdout.readline()
    os.waitpid(fork(reach_the_server), 0)
    started.append(fork(another_flow))
    try:
        if wanted:
            for name in wanted:
                line, full = command(client, 4, ROWS[name], False)
                print(f"--- {name}\n$ rtt-client {' '.join(line)}\n", flush=True)
                subprocess.run(full, timeout=30)
            return
        rows = dict(ROWS)
        for version in (4, 6):
            for port, kind in REJECTS[version].items():
                rows[f"a firewall that rejects: {kind}", version] = ("server", port)
        running = []
        for name, row in rows.items():
            name, versions = (name[0], [name[1]]) if isinstance(name, tuple) else (name, [4, 6])
            for version in versions:
                begun = time.monotonic()
                process = subprocess.Popen(command(client, version, row, True)[1], stdout=subprocess.PIPE, text=True)
                running.append((name, version, begun, process))
                # Not all at the same moment: the machine may have two processors.
                time.sleep(0.05)
        results = []
        for name, version, begun, process in running:
            out = process.communicate(timeout=30)[0]
            findings = [json.loads(line) for line in out.splitlines()]
            results.append({"row": name, "version": version, "status": process.returncode, "findings": findings})
        print(json.dumps(results))
    finally:
        for server in ours:
            server.send_signal(signal.SIGTERM)
            server.wait()
        for child in started:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)


main()
