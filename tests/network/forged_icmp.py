"""Replies to echo requests to 127.0.0.1 instead of the kernel, and sends a forged message before each reply.

    python3 forged_icmp.py KIND COMMAND...

Runs the client's COMMAND in a network namespace in which the kernel does not reply (`net.ipv4.icmp_echo_ignore_all`).
KIND is the kind of the forged messages:

- "identifier": an echo reply with another identifier.
- "sequence": an echo reply with the client's identifier, and a sequence number that the client has not used.
- "short": an echo reply of four bytes.
- "foreign quote": the ICMP error "host unreachable" about a request of another program.
- "truncated quote": the same error about the client's request, but it quotes only four bytes of the request.

Prints the output of the client, and ends with its exit status. Raw sockets need the capability CAP_NET_RAW.
"""
import socket
import struct
import subprocess
import sys
import time

HOST = "127.0.0.1"
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST = 0, 3, 8


def with_checksum(message):
    """Returns the message with the Internet checksum (RFC 1071) in bytes 2 and 3."""
    padded = message + b"\0" * (len(message) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack(">H", ~total & 0xFFFF) + message[4:]


def echo(kind, identifier, sequence, payload=b""):
    return with_checksum(struct.pack(">BBHHH", kind, 0, 0, identifier, sequence) + payload)


def quoted(message):
    """Returns the ICMP error "host unreachable" that quotes `message`."""
    address = socket.inet_aton(HOST)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0) + address + address
    return with_checksum(struct.pack(">BBHI", UNREACHABLE, 1, 0, 0) + header + message)


def forged(kind, identifier, payload):
    # The client's process uses identifiers that differ only in their last six bits.
    other = identifier ^ 0x8000
    return {
        "identifier": echo(ECHO_REPLY, other, 1, payload),
        "sequence": echo(ECHO_REPLY, identifier, 60000, payload),
        "short": with_checksum(b"\0\0\0\0"),
        "foreign quote": quoted(echo(ECHO_REQUEST, other, 1, payload)),
        "truncated quote": quoted(echo(ECHO_REQUEST, identifier, 1)[:4]),
    }[kind]


def main():
    kind, command = sys.argv[1], sys.argv[2:]
    with open("/proc/sys/net/ipv4/icmp_echo_ignore_all", "w") as setting:
        setting.write("1")
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.settimeout(0.1)
    client = subprocess.Popen(command)
    while client.poll() is None:
        try:
            message = raw.recv(65535)[20:]
        except TimeoutError:
            continue
        if message[0] != ECHO_REQUEST:
            continue
        identifier, sequence = struct.unpack(">HH", message[4:8])
        raw.sendto(forged(kind, identifier, message[8:]), (HOST, 0))
        # The client processes the forged message while its request is in flight.
        time.sleep(0.005)
        raw.sendto(echo(ECHO_REPLY, identifier, sequence, message[8:]), (HOST, 0))
    sys.exit(client.wait())


main()
