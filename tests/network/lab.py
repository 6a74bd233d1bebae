"""Creates a network of three hosts on one machine, for tests that need a path with delay and loss.

    client (10.77.0.1, fd77::1) -- forwarder -- server (10.77.0.2, fd77::2)

Each host is a network namespace. The forwarder connects two veth pairs, and applies the rules of the scenario to each
packet. Run this script in new user, network and mount namespaces. Many systems allow this without privileges:

    unshare -Urnm python3 lab.py SCENARIO CLIENT-COMMAND...

SCENARIO is a JSON object. Its key "server" contains the command of the server. Its key "timeout_s" contains the timeout
for the client. The class `Rules` explains the other keys.

The script prints one line of JSON with these keys:

- "status", "out", "err": the exit status and the output of the client.
- "injected": the number of packets that each rule changed. "overflowed" is the number of packets that the forwarder lost,
  because it was too slow. With the rule "measure", "request_delays_ns" and "reply_delays_ns" are lists of the time that each
  numbered datagram spent in the forwarder.
- "captured_rtts_ns": the RTTs in a capture on the client's interface.
"""
import ctypes
import fcntl
import heapq
import json
import math
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

# Constants of <linux/if_ether.h>, <linux/if_packet.h>, <sys/socket.h>, <linux/prctl.h>, <asm/socket.h>, <linux/sockios.h>
# and <linux/ethtool.h>.
ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
PR_SET_PDEATHSIG = 1
SO_TIMESTAMPNS = 35
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO = 0x17, 0x19, 0x1F, 0x24


def disable_offload(interface):
    """Makes the kernel compute the checksum of each packet and respect the MTU before the packet leaves the interface.
    With offload, the kernel leaves this work to the hardware. A veth interface has no hardware."""
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for command in (ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO):
        value = ctypes.create_string_buffer(struct.pack("II", command, 0))
        request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
        try:
            fcntl.ioctl(control, SIOCETHTOOL, request)
        except OSError:
            pass


def build():
    """Creates the namespaces c (client), m (forwarder) and s (server), and their interfaces."""
    sh("mount -t tmpfs tmpfs /run && mkdir /run/netns")
    for namespace in ("c", "m", "s"):
        sh(f"ip netns add {namespace}")
    sh("ip link add c0 netns c type veth peer name m0 netns m")
    sh("ip link add s0 netns s type veth peer name m1 netns m")
    for namespace, interface, ipv4, ipv6 in (("c", "c0", CLIENT, CLIENT6), ("s", "s0", SERVER, SERVER6)):
        sh(f"ip -n {namespace} address add {ipv4}/24 dev {interface}")
        # "nodad" skips the check for duplicate addresses. The check takes time, and this network has no duplicates.
        sh(f"ip -n {namespace} address add {ipv6}/64 dev {interface} nodad")
        sh(f"ip -n {namespace} link set lo up")
    for namespace, interface in (("c", "c0"), ("m", "m0"), ("m", "m1"), ("s", "s0")):
        sh(f"ip -n {namespace} link set {interface} up promisc on")
        child = os.fork()
        if child == 0:
            enter(namespace)
            disable_offload(interface)
            os._exit(0)
        os.waitpid(child, 0)


def packet_socket(interface):
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    # A burst must not overflow the queue of the forwarder, because the test would count these packets as lost elsewhere.
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    packets.bind((interface, ETH_P_ALL))
    return packets


def receive(packets):
    """Returns a packet, the time when the kernel received it (nanoseconds of CLOCK_REALTIME), and its address. The time is
    None if the kernel recorded none."""
    frame, control, _, address = packets.recvmsg(65536, 256)
    if not control:
        return frame, None, address
    seconds, nanoseconds = struct.unpack("qq", control[0][2][:16])
    return frame, seconds * 10**9 + nanoseconds, address


def overflowed(packets):
    """The number of packets that the kernel dropped, because the queue of the packet socket was full (packet(7))."""
    return struct.unpack("II", packets.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


# Protocol numbers in the IP header: TCP, and the protocols whose requests and replies are datagrams (UDP, ICMP echo over
# IPv4 and over IPv6).
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
DATAGRAMS = (UDP, ICMP, ICMPV6)

# Types of ICMP messages: echo request and echo reply (RFC 792, RFC 4443).
ECHO_TYPES = {ICMP: (8, 0), ICMPV6: (128, 129)}


def parse(frame):
    """Returns four values: the protocol number, whether the client sent the packet, the TCP sequence number, and the
    payload. For a datagram, the sequence number is None. For any other packet, the result is None."""
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
    if protocol == UDP or protocol in ECHO_TYPES and rest[0] in ECHO_TYPES[protocol]:
        return protocol, from_client, None, rest[8:]
    if protocol == TCP:
        return TCP, from_client, struct.unpack(">I", rest[4:8])[0], rest[(rest[12] >> 4) * 4 :]
    return None


def source_port(frame):
    """Returns the source port of a UDP or TCP packet."""
    transport = 14 + ((frame[14] & 15) * 4 if frame[12] == 8 else 40)
    return struct.unpack(">H", frame[transport : transport + 2])[0]


def request_number(payload):
    """Returns the number in a request or its reply. The number is in the first ten bytes, or in the ten bytes after a
    timing header (docs/protocol.md). Returns None if there is no number."""
    start = {b"ECHO-RTT/1": 40, b"ECHO-RTT/2": 118}.get(payload[:10].upper(), 0)
    digits = payload[start : start + 10]
    return int(digits) if len(digits) == 10 and digits.isdigit() else None


class Rules:
    """Applies the rules of a scenario to packets. Its keys are:

    - "delay_ms": delays each packet in each direction.
    - "drop": [n, r]: drops each request datagram with number % n == r.
    - "drop_replies": [n, r]: drops each reply datagram with number % n == r.
    - "double": [n, r]: sends each reply datagram with number % n == r twice.
    - "double_requests": [n, r]: sends each request datagram with number % n == r twice.
    - "corrupt_requests", "corrupt_replies": [n, r]: changes a bit of each datagram with number % n == r in this direction. The
      checksum stays the same, so the receiver's kernel drops the datagram.
    - "hold", "overtake": [n, r, ms]: delays each reply datagram with number % n == r by ms milliseconds.
    - "delay_replies": [ms, first, last]: delays the reply datagrams with these numbers by ms milliseconds.
    - "vary_requests", "vary_replies": [factor, n]: delays each datagram in this direction by number * factor % n
      microseconds.
    - "slower": [port, us]: delays UDP replies from this port of the server by us microseconds. This rule does not delay
      requests. Otherwise, the server's CPU would sleep longer, and the server would need more time for a reply.
    - "drop_segments": drops the client's TCP data segments with these numbers, but not their retransmissions.
    - "late_segment": [n, ms]: delays the server's TCP data segment with the number n by ms milliseconds.
    - "measure": the forwarder measures its delays. On a loaded machine, they are longer than the delays in the rules.
    - "punctual": the forwarder polls for packets and never sleeps, so its delays are more exact.

    "drop" and "drop_replies" can have two more elements: [n, r, first, last]. The rule then applies only to the numbers
    from first to last.
    """

    def __init__(self, scenario):
        self.scenario = scenario
        self.segment_numbers = {}
        self.server_segments = 0
        self.count = {"dropped": 0, "dropped_replies": 0, "corrupted": 0, "corrupted_replies": 0, "doubled": 0, "doubled_requests": 0, "held": 0, "retransmitted": 0}
        if scenario.get("measure"):
            self.count |= {"request_delays_ns": [], "reply_delays_ns": []}

    def matches(self, rule, number):
        n, r = self.scenario.get(rule, [0, 0])[:2]
        return n and number is not None and number % n == r

    def matches_in_range(self, rule, number):
        first, last = self.scenario.get(rule, [])[2:] or [0, math.inf]
        return self.matches(rule, number) and first <= number <= last

    def variation(self, rule, number):
        """Returns the delay of a datagram by "vary_requests" or "vary_replies", in seconds."""
        if rule not in self.scenario or number is None:
            return 0
        factor, n = self.scenario[rule]
        return number * factor % n / 1e6

    def measure(self, frame, arrived_ns):
        """Measures how long a datagram spent in the forwarder. The kernel recorded the arrival, so the time contains the wait
        of the forwarder for a processor."""
        if not self.scenario.get("measure") or arrived_ns is None:
            return
        delay = time.clock_gettime_ns(time.CLOCK_REALTIME) - arrived_ns
        parsed = parse(frame)
        if parsed is not None and request_number(parsed[3]) is not None:
            self.count["request_delays_ns" if parsed[1] else "reply_delays_ns"].append(delay)

    def corrupt(self, frame):
        """Returns the packet, with a changed bit if a rule applies."""
        parsed = parse(frame)
        if parsed is None or parsed[0] not in DATAGRAMS:
            return frame
        rule, count = ("corrupt_requests", "corrupted") if parsed[1] else ("corrupt_replies", "corrupted_replies")
        if not self.matches(rule, request_number(parsed[3])):
            return frame
        self.count[count] += 1
        return frame[:-1] + bytes([frame[-1] ^ 1])

    def delays(self, frame):
        """Returns one delay in seconds for each copy of the packet to send. An empty list drops the packet."""
        delay = self.scenario.get("delay_ms", 0) / 1000
        parsed = parse(frame)
        if parsed is None:
            return [0]
        protocol, from_client, sequence, payload = parsed
        slower_port, microseconds = self.scenario.get("slower", [0, 0])
        if protocol == UDP and not from_client and source_port(frame) == slower_port:
            delay += microseconds / 1e6
        if protocol in DATAGRAMS and from_client:
            number = request_number(payload)
            if self.matches_in_range("drop", number):
                self.count["dropped"] += 1
                return []
            delay += self.variation("vary_requests", number)
            if self.matches("double_requests", number):
                self.count["doubled_requests"] += 1
                return [delay, delay]
        if protocol in DATAGRAMS and not from_client:
            number = request_number(payload)
            if self.matches_in_range("drop_replies", number):
                self.count["dropped_replies"] += 1
                return []
            delay += self.variation("vary_replies", number)
            milliseconds, first, last = self.scenario.get("delay_replies", [0, 1, 0])
            if number is not None and first <= number <= last:
                delay += milliseconds / 1000
            for rule in ("hold", "overtake"):
                if self.matches(rule, number):
                    self.count["held"] += 1
                    delay += self.scenario[rule][2] / 1000
                    break
            if self.matches("double", number):
                self.count["doubled"] += 1
                return [delay, delay]
        if protocol == TCP and not from_client and payload and "late_segment" in self.scenario:
            self.server_segments += 1
            late_segment, milliseconds = self.scenario["late_segment"]
            if self.server_segments == late_segment:
                self.count["held"] += 1
                return [delay + milliseconds / 1000]
        if protocol == TCP and from_client and payload:
            if sequence in self.segment_numbers:
                self.count["retransmitted"] += 1
            else:
                self.segment_numbers[sequence] = len(self.segment_numbers) + 1
                if self.segment_numbers[sequence] in self.scenario.get("drop_segments", []):
                    self.count["dropped"] += 1
                    return []
        return [delay]


def forward(results, arguments):
    """Runs the forwarder until SIGTERM. `arguments` contains its rules and a pipe. When it is ready, it writes one byte to
    the pipe. At the end, it writes its counts to `results`."""
    rules, ready = arguments
    enter("m")
    left, right = packet_socket("m0"), packet_socket("m1")
    other = {left: right, right: left}
    # Packets with equal times leave in the order of their sequence numbers.
    queue, sequence = [], 0
    stop_signals = []
    signal.signal(signal.SIGTERM, lambda *_: stop_signals.append(True))
    os.write(ready, b"x")
    while not stop_signals:
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, output, frame, arrived_ns = heapq.heappop(queue)
            rules.measure(frame, arrived_ns)
            try:
                output.send(frame)
            except OSError:
                pass
        timeout = queue[0][0] - time.monotonic() if queue else 0.1
        if rules.scenario.get("punctual"):
            timeout = 0
        for source in select.select([left, right], [], [], max(0, timeout))[0]:
            frame, arrived_ns, address = receive(source)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            arrival = time.monotonic()
            output_frame = rules.corrupt(frame)
            for delay in rules.delays(frame):
                sequence += 1
                heapq.heappush(queue, (arrival + delay, sequence, other[source], output_frame, arrived_ns))
    rules.count["overflowed"] = overflowed(left) + overflowed(right)
    with os.fdopen(results, "w") as output:
        json.dump(rules.count, output)


def capture(results, ready):
    """Runs the capture until SIGTERM. It measures the RTTs of datagram exchanges in nanoseconds, from kernel timestamps on
    the client's interface. When it is ready, it writes one byte to `ready`. At the end, it writes the RTTs to `results`."""
    enter("c")
    packets = packet_socket("c0")
    stop_signals = []
    signal.signal(signal.SIGTERM, lambda *_: stop_signals.append(True))
    send_times, rtts = {}, []
    os.write(ready, b"x")
    while not stop_signals:
        if not select.select([packets], [], [], 0.1)[0]:
            continue
        frame, timestamp, _ = receive(packets)
        parsed = parse(frame)
        if timestamp is None or parsed is None or parsed[0] not in DATAGRAMS:
            continue
        number = request_number(parsed[3])
        if number is None:
            continue
        if parsed[1]:
            send_times.setdefault(number, timestamp)
        elif number in send_times:
            rtts.append(timestamp - send_times.pop(number))
    with os.fdopen(results, "w") as output:
        json.dump(rtts, output)


def fork(function, argument):
    """Runs `function(results, argument)` in a new process. Returns the process id and the pipe for its results."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        # The process ends with its parent, also after an exception.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            os.close(read_end)
            function(write_end, argument)
        finally:
            os._exit(0)
    os.close(write_end)
    return child, read_end


def stop(child, pipe):
    """Stops a process that `fork` started, and returns its results."""
    os.kill(child, signal.SIGTERM)
    with os.fdopen(pipe) as text:
        value = json.load(text)
    os.waitpid(child, 0)
    return value


def main():
    scenario, command = json.loads(sys.argv[1]), sys.argv[2:]
    build()
    is_ready, ready = os.pipe()
    forwarder, injected = fork(forward, (Rules(scenario), ready))
    os.read(is_ready, 1)
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
                "injected": stop(forwarder, injected),
                "captured_rtts_ns": stop(capturer, captured),
            }
        )
    )


if __name__ == "__main__":
    main()
