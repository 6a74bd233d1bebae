"""Creates two hosts with one UDP server each, and sends forged datagrams. Without protection, such a datagram could
make the servers answer each other forever.

    a (10.80.0.1, .11, fd80::1, ::11) -- b (10.80.0.2, fd80::2)

Both hosts are network namespaces. Run this script in new user, network and mount namespaces. Many systems allow this
without privileges:

    unshare -Urnm python3 reflect.py UDP-SERVER

UDP-SERVER is the path of `udp-echo`. The script prints one line of JSON with the result of each case (see `main`).
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

A, A_SECOND, B = "10.80.0.1", "10.80.0.11", "10.80.0.2"
A6, A6_SECOND, B6 = "fd80::1", "fd80::11", "fd80::2"
# Constant of <linux/udp.h>.
UDP_SEGMENT = 103


def build():
    """Creates both namespaces and their interfaces."""
    sh("mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add a && ip netns add b")
    sh("ip link add a0 netns a type veth peer name b0 netns b")
    for namespace, addresses in (("a", (A, A_SECOND, A6, A6_SECOND)), ("b", (B, B6))):
        for address in addresses:
            rest = "/64 dev %s0 nodad" if ":" in address else "/24 broadcast + dev %s0"
            sh(f"ip -n {namespace} address add {address}{rest % namespace}")
        sh(f"ip -n {namespace} link set lo up && ip -n {namespace} link set {namespace}0 up")
    sh("ip -n b route add default via 10.80.0.1")


class Server:
    """A running server on a host."""

    def __init__(self, program, host, *listen):
        self.process = subprocess.Popen(
            [program, "--log-format", "json", *(word for address in listen for word in ("--listen", address))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: enter(host))
        for _ in listen:
            self.process.stdout.readline()

    def shut_down(self):
        """Stops the server. Returns its totals as a dictionary."""
        self.process.send_signal(signal.SIGTERM)
        log = self.process.communicate(timeout=20)[1]
        return json.loads(log.splitlines()[-1])["fields"]


def run_on(host, function, *arguments):
    """Runs a function in a new process on a host. Returns the result of the function."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        enter(host)
        os.write(write_end, json.dumps(function(*arguments)).encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    return json.loads(os.fdopen(read_end).read())


def forge(source, source_port, target, port, text=b"ECHO", hops=64):
    """Sends a datagram with a forged source address."""
    udp = struct.pack(">HHHH", source_port, port, 8 + len(text), 0) + text
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, hops, 17, 0,
                         socket.inet_aton(source), socket.inet_aton(target))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.sendto(header + udp, (target, 0))
    return True


def wait_for_silence(host):
    """Waits until a host exchanges no datagrams for half a second. Returns False after 20 attempts."""
    for _ in range(20):
        before = datagram_counters(host)
        time.sleep(0.5)
        if datagram_counters(host) == before:
            return True
    return False


def datagram_counters(host):
    """Returns the number of datagrams that a host has received and sent."""
    def read():
        with open("/proc/net/snmp") as file:
            rows = [line.split() for line in file if line.startswith("Udp:")]
        row = dict(zip(*rows))
        return [row["InDatagrams"], row["OutDatagrams"]]
    return run_on(host, read)


def run_loop(program, port_a, port_b, **forged):
    """Starts two servers, and sends one forged datagram from host b to the server on host a. Returns whether the loop
    ended, and the totals of both servers."""
    server_a, server_b = Server(program, "a", f"{A}:{port_a}"), Server(program, "b", f"{B}:{port_b}")
    run_on("b", lambda: forge(B, port_b, A, port_a, **forged))
    ended = wait_for_silence("a")
    return {"ended": ended, "a": server_a.shut_down(), "b": server_b.shut_down()}


def request(address, text, **options):
    """Sends a request from an unconnected socket. Returns the text and the sender of each reply."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(0.5)
    if options.get("broadcast"):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if options.get("segment"):
        client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, options["segment"])
    if options.get("interface"):
        address = (*address, 0, socket.if_nametoindex(options["interface"]))
    client.sendto(text.encode(), address)
    replies = []
    try:
        while True:
            reply, peer = client.recvfrom(65536)
            replies.append([reply.decode(), peer[0].split("%")[0]])
    except TimeoutError:
        return replies


def main(program):
    build()
    results = {
        "different ports": run_loop(program, 4001, 4002),
        "different ports, 255 hops": run_loop(program, 4001, 4002, hops=255),
        "different ports, empty datagram": run_loop(program, 4001, 4002, text=b""),
        "lower case": run_loop(program, 4001, 4002, text=b"echo"),
        "same port": run_loop(program, 4001, 4001),
        "default port": run_loop(program, 4001, 25000),
    }
    server = Server(program, "a", "0.0.0.0:4001", "[::]:4001")
    for port in (0, 7, 19, 53, 123, 11211):
        run_on("b", lambda: forge(B, port, A, 4001))
    results["several addresses"] = {
        address: run_on("b", lambda: request((address, 4001), "from?"))
        for address in (A, A_SECOND, A6, A6_SECOND)
    }
    results["broadcast and multicast"] = [
        run_on("b", lambda: request(("10.80.0.255", 4001), "hello", broadcast=True)),
        run_on("b", lambda: request(("255.255.255.255", 4001), "hello", broadcast=True)),
        run_on("b", lambda: request(("ff02::1", 4001), "hello", interface="b0")),
    ]
    # The client sends 20 datagrams with one system call (UDP_SEGMENT). In the second case, the MTU of the return path
    # is smaller than the datagrams.
    segments = "".join(f"{number:03}" + "x" * 1397 for number in range(20))
    expected = [[part.upper(), A] for part in map("".join, zip(*[iter(segments)] * 1400))]
    results["segmented"] = run_on("b", lambda: request((A, 4001), segments, segment=1400)) == expected
    sh(f"ip -n a route add {B}/32 dev a0 mtu 1000")
    results["segmented, small MTU back"] = (
        run_on("b", lambda: request((A, 4001), segments, segment=1400)) == expected
    )
    results["totals"] = server.shut_down()
    print(json.dumps(results))


main(sys.argv[1])
