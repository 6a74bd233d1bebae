"""Measures a server with plain sockets. It is independent of the client that the tests check.

    python3 plain_client.py udp|tcp|greeting HOST PORT COUNT [REQUEST]

REQUEST is a sequence of hexadecimal digits. The server's reply over TCP is one line. With "greeting", the server sends a
line on each new connection.

The script prints one line of JSON: "connect_ns" and "rtt_ns" are lists of durations in nanoseconds.
"""
import json
import socket
import sys
import time


def line(stream):
    """Receives until the end of a line."""
    received = b""
    while not received.endswith(b"\n"):
        part = stream.recv(65536)
        if not part:
            sys.exit("the server closed the connection")
        received += part


def main():
    protocol, host, port, count = sys.argv[1:5]
    address, count = (host, int(port)), int(count)
    request = bytes.fromhex(sys.argv[5]) if len(sys.argv) > 5 else b""
    connect_ns, rtt_ns = [], []

    def connect(kind):
        stream = socket.socket(socket.AF_INET, kind)
        stream.settimeout(20)
        start = time.perf_counter_ns()
        stream.connect(address)
        connect_ns.append(time.perf_counter_ns() - start)
        return stream

    if protocol == "greeting":
        for _ in range(count):
            with connect(socket.SOCK_STREAM) as stream:
                start = time.perf_counter_ns()
                line(stream)
                rtt_ns.append(time.perf_counter_ns() - start)
    else:
        with connect(socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as stream:
            for _ in range(count):
                start = time.perf_counter_ns()
                stream.send(request)
                if protocol == "tcp":
                    line(stream)
                else:
                    stream.recv(65536)
                rtt_ns.append(time.perf_counter_ns() - start)
    print(json.dumps({"connect_ns": connect_ns, "rtt_ns": rtt_ns}))


main()
