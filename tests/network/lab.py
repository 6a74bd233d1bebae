"""A network of three hosts on one machine, for the tests that need a path which delays and loses.

    client (10.77.0.1, fd77::1) -- forwarder -- server (10.77.0.2, fd77::2)

Each is a network namespace; the forwarder joins two veth pairs and does to the packets what the scenario
says. Run it in a user, network and mount namespace of its own, which needs no privileges where the system
allows it:

    unshare -Urnm python3 lab.py SCENARIO CLIENT-COMMAND...

The scenario is JSON (see `Rules`), with the server's command under "server". What comes out is a line of
JSON: the client's status and output, what was injected, and the RTTs that a capture on the client's side
shows.
"""
import ctypes
import fcntl
import heapq
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

from namespaces import enter, sh

CLIENT, SERVER = "10.77.0.1", "10.77.0.2"
CLIENT6, SERVER6 = "fd77::1", "fd77::2"
ETH_P_ALL = 3
SO_TIMESTAMPNS = 35


def without_offload(interface):
    """A packet must leave with its checksum in it and not longer than the interface's MTU: nobody behind
    the forwarder would complete it (SIOCETHTOOL with ETHTOOL_STXCSUM, _SSG, _STSO, _SGSO)."""
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for what in (0x17, 0x19, 0x1F, 0x24):
        value = ctypes.create_string_buffer(struct.pack("II", what, 0))
        request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
        try:
            fcntl.ioctl(control, 0x8946, request)
        except OSError:
            pass


def build():
    sh("mount -t tmpfs tmpfs /run && mkdir /run/netns")
    for namespace in ("c", "m", "s"):
        sh(f"ip netns add {namespace}")
    sh("ip link add c0 netns c type veth peer name m0 netns m")
    sh("ip link add s0 netns s type veth peer name m1 netns m")
    for namespace, interface, address, six in (("c", "c0", CLIENT, CLIENT6), ("s", "s0", SERVER, SERVER6)):
        sh(f"ip -n {namespace} address add {address}/24 dev {interface}")
        # Nobody else is there to have the same address.
        sh(f"ip -n {namespace} address add {six}/64 dev {interface} nodad")
        sh(f"ip -n {namespace} link set lo up")
    for namespace, interface in (("c", "c0"), ("m", "m0"), ("m", "m1"), ("s", "s0")):
        sh(f"ip -n {namespace} link set {interface} up promisc on")
        child = os.fork()
        if child == 0:
            enter(namespace)
            without_offload(interface)
            os._exit(0)
        os.waitpid(child, 0)


def packet_socket(interface):
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.bind((interface, ETH_P_ALL))
    return packets


def parse(frame):
    """Protocol number, whether it comes from the client, TCP sequence number, payload."""
    if frame[12:14] == b"\x08\x00":
        header = (frame[14] & 15) * 4
        length = struct.unpack(">H", frame[16:18])[0]
        packet = frame[14 : 14 + length]
        from_client = socket.inet_ntoa(packet[12:16]) == CLIENT
        protocol, rest = packet[9], packet[header:]
    elif frame[12:14] == b"\x86\xdd":
        length = struct.unpack(">H", frame[18:20])[0]
        packet = frame[14 : 14 + 40 + length]
        from_client = socket.inet_ntop(socket.AF_INET6, packet[8:24]) == CLIENT6
        protocol, rest = packet[6], packet[40:]
    else:
        return None
    if protocol == 17:
        return 17, from_client, None, rest[8:]
    if protocol == 6:
        return 6, from_client, struct.unpack(">I", rest[4:8])[0], rest[(rest[12] >> 4) * 4 :]
    return None


def source_port(frame):
    """Of a packet that `parse` knows."""
    transport = 14 + ((frame[14] & 15) * 4 if frame[12] == 8 else 40)
    return struct.unpack(">H", frame[transport : transport + 2])[0]


def number(payload):
    """A request's number: the first ten bytes, or those behind a timing header (docs/protocol.md)."""
    front = 40 if payload[:10].upper() == b"ECHO-RTT/1" else 0
    digits = payload[front : front + 10]
    return int(digits) if len(digits) == 10 and digits.isdigit() else None


class Rules:
    """What happens to packets. "delay_ms": to each, each way. Of UDP, by the request's number: "drop": [n, r]
    loses requests with number % n == r; "double" doubles and "hold": [n, r, ms] holds back replies; "slower":
    [port, us] is a longer way back from that port of the server's (there, and the server would sleep longer,
    and wake up colder). Of TCP: "drop_segments" loses the client's data
    segments so numbered, the first time that they come; "late_segment": [n, ms] holds back the server's nth. With "punctual" the forwarder never sleeps."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.seen = {}
        self.answers = 0
        self.count = {"dropped": 0, "doubled": 0, "held": 0, "retransmitted": 0}

    def matches(self, rule, number):
        n, r = self.scenario.get(rule, [0, 0])[:2]
        return n and number is not None and number % n == r

    def delays(self, frame):
        """After how many seconds each copy leaves."""
        delay = self.scenario.get("delay_ms", 0) / 1000
        parsed = parse(frame)
        if parsed is None:
            return [0]
        protocol, from_client, sequence, payload = parsed
        slower, microseconds = self.scenario.get("slower", [0, 0])
        if protocol == 17 and not from_client and source_port(frame) == slower:
            delay += microseconds / 1e6
        if protocol == 17 and from_client and self.matches("drop", number(payload)):
            self.count["dropped"] += 1
            return []
        if protocol == 17 and not from_client:
            asked = number(payload)
            if self.matches("hold", asked):
                self.count["held"] += 1
                delay += self.scenario["hold"][2] / 1000
            elif self.matches("overtake", asked):
                self.count["held"] += 1
                delay += self.scenario["overtake"][2] / 1000
            if self.matches("double", asked):
                self.count["doubled"] += 1
                return [delay, delay]
        if protocol == 6 and not from_client and payload and "late_segment" in self.scenario:
            self.answers += 1
            late, milliseconds = self.scenario["late_segment"]
            if self.answers == late:
                self.count["held"] += 1
                return [delay + milliseconds / 1000]
        if protocol == 6 and from_client and payload:
            if sequence in self.seen:
                self.count["retransmitted"] += 1
            else:
                self.seen[sequence] = len(self.seen) + 1
                if self.seen[sequence] in self.scenario.get("drop_segments", []):
                    self.count["dropped"] += 1
                    return []
        return [delay]


def forward(scenario, results):
    """The forwarder: a process of its own, until it is told to end."""
    enter("m")
    rules = Rules(scenario)
    left, right = packet_socket("m0"), packet_socket("m1")
    other = {left: right, right: left}
    waiting, order = [], 0
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, out, frame = heapq.heappop(waiting)
            try:
                out.send(frame)
            except OSError:
                pass
        pause = waiting[0][0] - time.monotonic() if waiting else 0.1
        if scenario.get("punctual"):
            pause = 0
        for source in select.select([left, right], [], [], max(0, pause))[0]:
            frame, address = source.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            arrived = time.monotonic()
            for delay in rules.delays(frame):
                order += 1
                heapq.heappush(waiting, (arrived + delay, order, other[source], frame))
    with os.fdopen(results, "w") as out:
        json.dump(rules.count, out)


def capture(results, ready):
    """RTTs of UDP exchanges in nanoseconds, by the kernel's stamps on the client's interface."""
    enter("c")
    packets = packet_socket("c0")
    packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    sent, rtts = {}, []
    os.write(ready, b"x")
    while not ended:
        if not select.select([packets], [], [], 0.1)[0]:
            continue
        frame, control, _, _ = packets.recvmsg(65536, 256)
        parsed = parse(frame)
        if parsed is None or parsed[0] != 17 or not control:
            continue
        seconds, nanoseconds = struct.unpack("qq", control[0][2][:16])
        at, asked = seconds * 10**9 + nanoseconds, number(parsed[3])
        if asked is None:
            continue
        if parsed[1]:
            sent.setdefault(asked, at)
        elif asked in sent:
            rtts.append(at - sent.pop(asked))
    with os.fdopen(results, "w") as out:
        json.dump(rtts, out)


def fork(run, *arguments):
    """Runs `run` in a process; returns its id and the end of a pipe for its results."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(here)
            run(*arguments, there) if run is forward else run(there, *arguments)
        finally:
            os._exit(0)
    os.close(there)
    return child, here


def result(child, pipe):
    os.kill(child, signal.SIGTERM)
    with os.fdopen(pipe) as text:
        value = json.load(text)
    os.waitpid(child, 0)
    return value


def main():
    scenario, command = json.loads(sys.argv[1]), sys.argv[2:]
    build()
    forwarder, injected = fork(forward, scenario)
    is_ready, ready = os.pipe()
    capturer, captured = fork(capture, ready)
    os.read(is_ready, 1)
    server = subprocess.Popen(
        ["ip", "netns", "exec", "s", *scenario["server"]], stdout=subprocess.PIPE, text=True
    )
    server.stdout.readline()
    try:
        client = subprocess.run(
            ["ip", "netns", "exec", "c", *command], capture_output=True, text=True, timeout=scenario.get("timeout_s", 60)
        )
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    print(
        json.dumps(
            {
                "status": client.returncode,
                "out": client.stdout,
                "err": client.stderr,
                "injected": result(forwarder, injected),
                "captured_rtts_ns": result(capturer, captured),
            }
        )
    )


main()
