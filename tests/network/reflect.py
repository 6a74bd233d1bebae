"""Two hosts with a UDP server each, and somebody who forges datagrams from one to the other.

    a (10.80.0.1, .11, fd80::1, ::11) -- b (10.80.0.2, fd80::2)

Both are network namespaces. Run it in a user, network and mount namespace of its own, which needs no
privileges where the system allows it:

    unshare -Urnm python3 reflect.py OUR-UDP-SERVER

What comes out is a line of JSON: what each case came to (see `main`).
"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

from namespaces import enter, sh

A, A_TOO, B = "10.80.0.1", "10.80.0.11", "10.80.0.2"
A6, A6_TOO, B6 = "fd80::1", "fd80::11", "fd80::2"
UDP_SEGMENT = 103


def build():
    sh("mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add a && ip netns add b")
    sh("ip link add a0 netns a type veth peer name b0 netns b")
    for namespace, addresses in (("a", (A, A_TOO, A6, A6_TOO)), ("b", (B, B6))):
        for address in addresses:
            rest = "/64 dev %s0 nodad" if ":" in address else "/24 broadcast + dev %s0"
            sh(f"ip -n {namespace} address add {address}{rest % namespace}")
        sh(f"ip -n {namespace} link set lo up && ip -n {namespace} link set {namespace}0 up")
    sh("ip -n b route add default via 10.80.0.1")


class Server:
    """A server on a host; `end` returns its totals by their names."""

    def __init__(self, program, host, *listen):
        self.process = subprocess.Popen(
            [program, "--log-format", "json", *(word for address in listen for word in ("--listen", address))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: enter(host))
        for _ in listen:
            self.process.stdout.readline()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        log = self.process.communicate(timeout=20)[1]
        return json.loads(log.splitlines()[-1])["fields"]


def on(host, what, *arguments):
    """What a function returns on a host."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        enter(host)
        os.write(write, json.dumps(what(*arguments)).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    return json.loads(os.fdopen(read).read())


def forge(source, source_port, target, port, text=b"ECHO", hops=64):
    """A datagram that says it comes from where it does not."""
    udp = struct.pack(">HHHH", source_port, port, 8 + len(text), 0) + text
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, hops, 17, 0,
                         socket.inet_aton(source), socket.inet_aton(target))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.sendto(header + udp, (target, 0))
    return True


def settle(host):
    """Waits until a host receives nothing for half a second. Returns whether that came to be."""
    for _ in range(20):
        before = counters(host)
        time.sleep(0.5)
        if counters(host) == before:
            return True
    return False


def counters(host):
    """How many datagrams a host has received and sent."""
    def read():
        with open("/proc/net/snmp") as file:
            rows = [line.split() for line in file if line.startswith("Udp:")]
        row = dict(zip(*rows))
        return [row["InDatagrams"], row["OutDatagrams"]]
    return on(host, read)


def circle(program, port_a, port_b, **forged):
    """Two servers, and one datagram from one to the other."""
    one, other = Server(program, "a", f"{A}:{port_a}"), Server(program, "b", f"{B}:{port_b}")
    on("b", lambda: forge(B, port_b, A, port_a, **forged))
    ended = settle("a")
    return {"ended": ended, "a": one.end(), "b": other.end()}


def ask(host, address, request, **options):
    """The reply's text and sender as a client that is not connected sees them."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(0.5)
    if options.get("broadcast"):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if options.get("segment"):
        client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, options["segment"])
    if options.get("interface"):
        address = (*address, 0, socket.if_nametoindex(options["interface"]))
    client.sendto(request.encode(), address)
    replies = []
    try:
        while True:
            reply, peer = client.recvfrom(65536)
            replies.append([reply.decode(), peer[0].split("%")[0]])
    except TimeoutError:
        return replies


def main(program):
    build()
    told = {
        "different ports": circle(program, 4001, 4002),
        "different ports, 255 hops": circle(program, 4001, 4002, hops=255),
        "different ports, nothing in it": circle(program, 4001, 4002, text=b""),
        "small letters": circle(program, 4001, 4002, text=b"echo"),
        "one port": circle(program, 4001, 4001),
        "the default port": circle(program, 4001, 25000),
    }
    server = Server(program, "a", "0.0.0.0:4001", "[::]:4001")
    for port in (0, 7, 19, 53, 123, 11211):
        on("b", lambda: forge(B, port, A, 4001))
    told["several addresses"] = {
        address: on("b", lambda: ask("b", (address, 4001), "from?")) for address in (A, A_TOO, A6, A6_TOO)
    }
    told["to many"] = [
        on("b", lambda: ask("b", ("10.80.0.255", 4001), "anybody?", broadcast=True)),
        on("b", lambda: ask("b", ("255.255.255.255", 4001), "anybody?", broadcast=True)),
        on("b", lambda: ask("b", ("ff02::1", 4001), "anybody?", interface="b0")),
    ]
    # Datagrams sent together, to whom the way back has less room than the way there.
    together = "".join(f"{number:03}" + "x" * 1397 for number in range(20))
    told["together"] = on("b", lambda: ask("b", (A, 4001), together, segment=1400)) == \
        [[part.upper(), A] for part in map("".join, zip(*[iter(together)] * 1400))]
    sh(f"ip -n a route add {B}/32 dev a0 mtu 1000")
    told["together, but not back"] = on("b", lambda: ask("b", (A, 4001), together, segment=1400)) == \
        [[part.upper(), A] for part in map("".join, zip(*[iter(together)] * 1400))]
    told["refused"] = server.end()
    print(json.dumps(told))


main(sys.argv[1])
