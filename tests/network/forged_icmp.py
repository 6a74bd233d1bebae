"""Replies to echo requests to 127.0.0.1 instead of the kernel, and sends other messages too.

    python3 forged_icmp.py KIND COMMAND...

Runs the client's COMMAND in a network namespace in which the kernel does not reply (`net.ipv4.icmp_echo_ignore_all`).
For most values of KIND, the script sends a forged message before each reply:

- "identifier": an echo reply with another identifier.
- "sequence": an echo reply with the client's identifier, and a sequence number that the client has not used.
- "number": an echo reply with the sequence number of one request and the content of the request before it.
- "token": an echo reply to the client's request with a wrong token after the number.
- "checksum": an echo reply with a wrong checksum.
- "short": an echo reply of four bytes.
- "foreign quote": the ICMP error "host unreachable" about a request of another program.
- "unsent sequence": the same error, about a sequence number that the client has not used. It quotes only the header.
- "wrong payload in the quote": the same error about the client's request, but it quotes the content of the request before it.
- "wrong token in the quote": the same error about the client's request, but it quotes a wrong token.
- "truncated quote": the same error about the client's request, but it quotes only four bytes of the request.

With the kind "errors about even requests", the script sends no forged message. It replies late to requests with an odd
sequence number. For each other request, it immediately sends the error "host unreachable", which quotes only the header.

Prints the output of the client, and ends with its exit status. Raw sockets need the capability CAP_NET_RAW.
"""
import heapq
import socket
import struct
import subprocess
import sys
import time

from checksum import with_checksum

HOST = "127.0.0.1"

# The client processes the forged message while its request is in flight.
REPLY_DELAY_S = 0.005
# Longer than the time between two requests of the test.
LATE_REPLY_DELAY_S = 0.025

ECHO_REPLY, UNREACHABLE, ECHO_REQUEST = 0, 3, 8


def echo(kind, identifier, sequence, payload=b""):
    return with_checksum(struct.pack(">BBHHH", kind, 0, 0, identifier, sequence) + payload)


def quoted(message):
    """Returns the ICMP error "host unreachable" that quotes `message`."""
    address = socket.inet_aton(HOST)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0) + address + address
    return with_checksum(struct.pack(">BBHI", UNREACHABLE, 1, 0, 0) + header + message)


def forged(kind, identifier, sequence, payload):
    # The client's process uses identifiers that differ only in their last eight bits.
    other = identifier ^ 0x8000
    # The first ten bytes of the content are the number of the request.
    other_payload = b"%010d" % (int(payload[:10]) - 1) + payload[10:]
    # The token has 13 bytes.
    false_token = payload[:10] + b"A" * 13 + payload[23:]
    reply = echo(ECHO_REPLY, identifier, sequence, payload)
    return {
        "identifier": echo(ECHO_REPLY, other, 1, payload),
        "sequence": echo(ECHO_REPLY, identifier, 60000, payload),
        "number": echo(ECHO_REPLY, identifier, sequence, other_payload),
        "token": echo(ECHO_REPLY, identifier, sequence, false_token),
        "checksum": reply[:3] + bytes([reply[3] ^ 1]) + reply[4:],
        "short": with_checksum(b"\0\0\0\0"),
        "foreign quote": quoted(echo(ECHO_REQUEST, other, 1, payload)),
        "unsent sequence": quoted(echo(ECHO_REQUEST, identifier, 60000)),
        "wrong payload in the quote": quoted(echo(ECHO_REQUEST, identifier, sequence, other_payload)),
        "wrong token in the quote": quoted(echo(ECHO_REQUEST, identifier, sequence, false_token)),
        "truncated quote": quoted(echo(ECHO_REQUEST, identifier, 1)[:4]),
    }[kind]


def answers(kind, request):
    """Returns the answers to a request: pairs of a delay in seconds and a message."""
    identifier, sequence = struct.unpack(">HH", request[4:8])
    payload = request[8:]
    reply = echo(ECHO_REPLY, identifier, sequence, payload)
    if kind == "errors about even requests":
        is_even = sequence % 2 == 0
        return [(0, quoted(request[:8]))] if is_even else [(LATE_REPLY_DELAY_S, reply)]
    return [(0, forged(kind, identifier, sequence, payload)), (REPLY_DELAY_S, reply)]


def main():
    kind, command = sys.argv[1], sys.argv[2:]
    with open("/proc/sys/net/ipv4/icmp_echo_ignore_all", "w") as setting:
        setting.write("1")
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    queue = []
    client = subprocess.Popen(command)
    while client.poll() is None:
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            raw.sendto(heapq.heappop(queue)[1], (HOST, 0))
        raw.settimeout(max(0.0001, queue[0][0] - now) if queue else 0.1)
        try:
            message = raw.recv(65535)[20:]
        except TimeoutError:
            continue
        if message[0] == ECHO_REQUEST:
            now = time.monotonic()
            for delay, answer in answers(kind, message):
                heapq.heappush(queue, (now + delay, answer))
    sys.exit(client.wait())


main()
