"""Loses exchanges in known places of the test network in `lab.py`, and counts the losses in each place.

    unshare -Urnm python3 loss_places.py SCENARIO CLIENT-COMMAND...

SCENARIO is a JSON object. The class `Rules` in `lab.py` explains the rules of the forwarder. The other keys are:

- "server": the command of the server. It must print its log as JSON (`--log-format json`).
- "timeout_s": the timeout for the client.
- "actions": a list of [name, first, milliseconds, parameter]. An action starts when the first request with at least the
  number `first` arrives at the forwarder. It lasts for this many milliseconds. Actions do not overlap. The names are:
  - "full-send-queue": the queueing discipline of the client's interface drops each packet.
  - "stop-server", "stop-client": stops the process. The parameter is the size of the receive buffer of its UDP sockets
    during this time, in bytes (`SO_RCVBUF`). Null: the size does not change.
  - "restart-server": kills the server, and starts it again after this time. The parameter is null.
  - "flood": another program on the client's host sends short requests to the server. The parameter is their number. They
    use up the server's rate limit for this host.

The script prints one line of JSON with these keys:

- "status", "out", "err": the exit status and the output of the client.
- "lost": the number of lost exchanges of the client for each place. The keys are the values of the client's `lost_where`.
- "injected": the same counts of the forwarder as in `lab.py`.
- "flood": the numbers of requests and replies of the flood.
- "server_totals": the counters of the server.
"""
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import lab
from lab import CLIENT, SERVER
from namespaces import enter, sh

# Constants of <asm/unistd.h>, <asm/socket.h> and <linux/sock_diag.h>. Python's `signal` and `socket` do not have them.
SYS_PIDFD_GETFD = 438
SO_MEMINFO, SK_MEMINFO_DROPS, SK_MEMINFO_VARS = 55, 8, 9

# A size in bytes that no queue of the client's interface reaches.
LARGE_QUEUE = 10_000_000

# The time from the last request of the flood to the end of its replies.
FLOOD_END_S = 0.5


class Progress(lab.Rules):
    """The rules of the forwarder. In addition, they write a byte to a pipe for each action whose first request arrives."""

    def __init__(self, scenario, pipe):
        super().__init__(scenario)
        self.starts = sorted(action[1] for action in scenario.get("actions", []))
        self.pipe = pipe

    def delays(self, frame):
        parsed = lab.parse(frame) if self.starts else None
        number = lab.request_number(parsed[3]) if parsed and parsed[1] else None
        while number is not None and self.starts and number >= self.starts[0]:
            os.write(self.pipe, b"x")
            self.starts.pop(0)
        return super().delays(frame)


class UdpSockets:
    """Copies of the UDP sockets of a process. They stay open when the process ends, so the kernel keeps their counters."""

    def __init__(self, process_id):
        self.process_id = process_id
        self.sockets = {}

    def update(self):
        """Copies each UDP socket that has no copy. Returns all copies."""
        process = os.pidfd_open(self.process_id)
        directory = f"/proc/{self.process_id}/fd"
        for descriptor in os.listdir(directory):
            name = os.readlink(f"{directory}/{descriptor}")
            if not name.startswith("socket:") or name in self.sockets:
                continue
            copy = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, process, int(descriptor), 0)
            if copy < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            copy = socket.socket(fileno=copy)
            if copy.type == socket.SOCK_DGRAM and copy.family in (socket.AF_INET, socket.AF_INET6):
                self.sockets[name] = copy
        os.close(process)
        return self.sockets.values()

    def set_receive_buffer(self, size):
        """Sets the size for all sockets, and returns the previous sizes."""
        previous = []
        for copy in self.update():
            # The kernel doubles the size for its own overhead (socket(7)).
            previous.append((copy, copy.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2))
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        return previous

    def drops(self):
        """The number of datagrams that the kernel dropped, because the receive queue of a socket was full."""
        information = [copy.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * SK_MEMINFO_VARS) for copy in self.sockets.values()]
        return sum(struct.unpack(f"{SK_MEMINFO_VARS}I", value)[SK_MEMINFO_DROPS] for value in information)

    def close(self):
        """Closes the copies. Before that, no other socket can have the same address."""
        for copy in self.sockets.values():
            copy.close()


def prevent_other_packets():
    """Prevents ARP and IPv6 packets. The queueing discipline would drop and count them like the requests."""
    for namespace, interface, own, other, other_link in (
        ("c", "c0", "02:00:00:00:00:01", SERVER, "02:00:00:00:00:02"),
        ("s", "s0", "02:00:00:00:00:02", CLIENT, "02:00:00:00:00:01"),
    ):
        sh(f"ip -n {namespace} -6 address flush dev {interface}")
        sh(f"ip netns exec {namespace} sh -c 'for file in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $file; done'")
        sh(f"ip -n {namespace} link set {interface} address {own}")
        sh(f"ip -n {namespace} neighbour replace {other} lladdr {other_link} dev {interface} nud permanent")


def set_send_queue(command, size):
    """Adds or changes the queueing discipline of the client's interface. It drops packets that do not fit in `size` bytes.

    The discipline exists before the client starts, and it stays. While the kernel adds or removes a discipline, it drops
    packets without counting them."""
    sh(f"tc -n c qdisc {command} dev c0 root bfifo limit {size}")


def fill_send_queue(milliseconds):
    set_send_queue("change", 1)
    time.sleep(milliseconds / 1000)
    set_send_queue("change", LARGE_QUEUE)


def send_queue_drops():
    output = subprocess.run(["tc", "-n", "c", "-s", "-j", "qdisc", "show", "dev", "c0"], capture_output=True, check=True)
    return sum(discipline.get("drops", 0) for discipline in json.loads(output.stdout))


def stop_process(sockets, milliseconds, buffer_size):
    previous = sockets.set_receive_buffer(buffer_size) if buffer_size else []
    os.kill(sockets.process_id, signal.SIGSTOP)
    try:
        time.sleep(milliseconds / 1000)
        for copy, size in previous:
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    finally:
        os.kill(sockets.process_id, signal.SIGCONT)


def flood(results, parameters):
    """Sends the flood at a constant rate, and writes the numbers of requests and replies to `results`."""
    milliseconds, count = parameters
    enter("c")
    requests = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    requests.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    requests.connect((SERVER, 7777))
    start = time.monotonic()
    for number in range(count):
        requests.send(b"flood")
        early = start + number * milliseconds / 1000 / count - time.monotonic()
        if early > 0:
            time.sleep(early)
    requests.settimeout(FLOOD_END_S)
    replies = 0
    try:
        while requests.recv(100) == b"FLOOD":
            replies += 1
    except TimeoutError:
        pass
    with os.fdopen(results, "w") as output:
        json.dump({"requests": count, "replies": replies}, output)


def has_started(progress, client):
    """Waits until the first request of the next action arrives. Returns false if the client ends before."""
    while client.poll() is None:
        if select.select([progress], [], [], 0.1)[0]:
            return bool(os.read(progress, 1))
    return False


def content(file):
    file.seek(0)
    return file.read()


def server_totals(log):
    """Returns the counters in the last line of the server's log."""
    return json.loads(content(log).splitlines()[-1])["fields"]


def start_server(command, log):
    """Starts the server, and waits until it serves."""
    server = subprocess.Popen(["ip", "netns", "exec", "s", *command], stdout=subprocess.PIPE, stderr=log, text=True)
    server.stdout.readline()
    return server, UdpSockets(server.pid)


def main():
    scenario, command = json.loads(sys.argv[1]), sys.argv[2:]
    lab.build()
    prevent_other_packets()
    set_send_queue("add", LARGE_QUEUE)
    progress, pipe = os.pipe()
    is_ready, ready = os.pipe()
    forwarder, injected = lab.fork(lab.forward, (Progress(scenario, pipe), ready))
    os.read(is_ready, 1)
    # Files, because nothing reads a pipe during the actions, and a process would stop at a full pipe.
    log, out, err = (tempfile.TemporaryFile("w+") for _ in range(3))
    server, server_sockets = start_server(scenario["server"], log)
    server_sockets.update()
    previous_drops = 0
    client = subprocess.Popen(["ip", "netns", "exec", "c", *command], stdout=out, stderr=err)
    client_sockets = UdpSockets(client.pid)
    floods = []
    try:
        for name, _, milliseconds, parameter in sorted(scenario.get("actions", []), key=lambda action: action[1]):
            if not has_started(progress, client):
                break
            client_sockets.update()
            if name == "full-send-queue":
                fill_send_queue(milliseconds)
            elif name == "stop-server":
                stop_process(server_sockets, milliseconds, parameter)
            elif name == "restart-server":
                server.kill()
                server.wait()
                previous_drops += server_sockets.drops()
                server_sockets.close()
                time.sleep(milliseconds / 1000)
                server, server_sockets = start_server(scenario["server"], log)
                server_sockets.update()
            elif name == "stop-client":
                stop_process(client_sockets, milliseconds, parameter)
            elif name == "flood":
                floods.append(lab.fork(flood, (milliseconds, parameter)))
        client.wait(scenario.get("timeout_s", 30))
    finally:
        client.kill()
        server.send_signal(signal.SIGTERM)
        server.wait()
    flooded = {"requests": 0, "replies": 0}
    for child, results in floods:
        with os.fdopen(results) as text:
            flooded = {key: flooded[key] + value for key, value in json.load(text).items()}
        os.waitpid(child, 0)
    totals, counts = server_totals(log), lab.stop(forwarder, injected)
    print(
        json.dumps(
            {
                "status": client.returncode,
                "out": content(out),
                "err": content(err),
                "lost": {
                    "send-queue": send_queue_drops(),
                    "there": counts["dropped"],
                    "server-queue": previous_drops + server_sockets.drops(),
                    "server-limit": totals["refused_rate_limit"] - (flooded["requests"] - flooded["replies"]),
                    "back": counts["dropped_replies"],
                    "receive-queue": client_sockets.drops(),
                },
                "injected": counts,
                "flood": flooded,
                "server_totals": totals,
            }
        )
    )


if __name__ == "__main__":
    main()
