"""Measures a real server with the client and with independent tools, on a path with a known delay.

    client (10.77.0.1) -- forwarder -- server (10.77.0.2)

The network is the one of `lab.py`. Run this script in new user, network, mount and process namespaces. All processes of the
server end together with the script, including those that leave its process group:

    unshare -Urnm --pid --fork --kill-child --mount-proc python3 services.py SCENARIO

SCENARIO is a JSON object with these keys:

- "server": the command of the server. "ready": how the script detects that the server works, see `is_ready`.
- "delay_ms": the delay in each direction, in milliseconds.
- "commands": the commands on the client's host. "rounds": the number of times that each of them runs. The commands take
  turns, so that a change of the machine's load affects all of them.
- "capture": the path of the capture file of the client's interface, optional.

The script prints one line of JSON: a list with the results of each command. A result is a list of objects with the exit
status and the output of one run.
"""
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import lab
from namespaces import enter

# The longest time until the server works, and the pause between two attempts to contact it, in seconds.
START_TIMEOUT, START_PAUSE = 20, 0.01

# The timeout of one run of a command, in seconds.
RUN_TIMEOUT = 60

# The global header of a capture file with nanoseconds, and the link type of Ethernet (draft-ietf-opsawg-pcap).
PCAP_MAGIC, LINK_ETHERNET = 0xA1B23C4D, 1


def is_ready(ready):
    """Tries once to contact the server. `ready` is the port of a TCP server, or the port and a request to a UDP server."""
    port, request = ready["port"], ready.get("request")
    kind = socket.SOCK_STREAM if request is None else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as contact:
        contact.settimeout(1)
        try:
            contact.connect((lab.SERVER, port))
            if request is not None:
                contact.send(bytes.fromhex(request))
                contact.recv(65536)
            return True
        except OSError:
            return False


def wait_until_ready(results, ready):
    """Runs in its own process, on the server's host."""
    enter("s")
    end = time.monotonic() + START_TIMEOUT
    while not is_ready(ready) and time.monotonic() < end:
        time.sleep(START_PAUSE)
    with os.fdopen(results, "w") as output:
        json.dump(time.monotonic() < end, output)


def start_server(command):
    return subprocess.Popen(["ip", "netns", "exec", "s", *command], stdin=subprocess.DEVNULL, stdout=sys.stderr)


def write_capture(results, arguments):
    """Writes all packets of the client's interface to a file, until SIGTERM. When it is ready, it writes one byte to a
    pipe."""
    path, ready = arguments
    enter("c")
    packets = lab.packet_socket("c0")
    stop_signals = []
    signal.signal(signal.SIGTERM, lambda *_: stop_signals.append(True))
    with open(path, "wb") as file:
        file.write(struct.pack("=IHHiIII", PCAP_MAGIC, 2, 4, 0, 0, 65536, LINK_ETHERNET))
        os.write(ready, b"x")
        # After SIGTERM, it still writes the packets that have arrived.
        while True:
            must_stop = bool(stop_signals)
            if not select.select([packets], [], [], 0 if must_stop else 0.1)[0]:
                if must_stop:
                    break
                continue
            frame, timestamp, _ = lab.receive(packets)
            seconds, nanoseconds = divmod(timestamp, 10**9)
            file.write(struct.pack("=IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
    with os.fdopen(results, "w") as output:
        json.dump(True, output)


def run(command):
    """Runs a command on the client's host."""
    result = subprocess.run(
        ["ip", "netns", "exec", "c", *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_TIMEOUT
    )
    return {"status": result.returncode, "out": result.stdout, "err": result.stderr}


def measure(scenario):
    commands = scenario["commands"]
    results = [[] for _ in commands]
    for number in range(scenario["rounds"]):
        turns = list(range(len(commands)))
        # Each command is equally often the first one.
        for turn in turns if number % 2 == 0 else reversed(turns):
            results[turn].append(run(commands[turn]))
    return results


def main():
    scenario = json.loads(sys.argv[1])
    lab.build()
    has_started, started = os.pipe()
    forwarder = lab.fork(lab.forward, (lab.Rules({"delay_ms": scenario["delay_ms"]}), started))
    os.read(has_started, 1)
    capture = None
    if "capture" in scenario:
        capture = lab.fork(write_capture, (scenario["capture"], started))
        os.read(has_started, 1)
    server = start_server(scenario["server"])
    try:
        child, pipe = lab.fork(wait_until_ready, scenario["ready"])
        with os.fdopen(pipe) as output:
            is_started = json.load(output)
        os.waitpid(child, 0)
        if not is_started:
            sys.exit(f"the server did not start: {scenario['server']}")
        results = measure(scenario)
    finally:
        server.kill()
        server.wait()
    lab.stop(*forwarder)
    if capture:
        lab.stop(*capture)
    print(json.dumps(results))


main()
