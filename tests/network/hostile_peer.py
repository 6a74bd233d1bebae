"""A server that attacks the packet capture of its client.

    python3 hostile_peer.py KIND COMMAND...

Runs the client's COMMAND in a network namespace with a loopback interface. The server has the address 127.0.0.1:7777.
The values of KIND:

- "tcp": the server accepts one connection. Before it replies, it sends forged segments from its port: to other ports of
  the client's host, and to the port of the connection. The distance of two sequence numbers is up to 2 GiB.
- "udp": before the server replies to the first request, it sends 150,000 datagrams to another port.

Prints the output of the client, and ends with its exit status. Raw sockets need the capability CAP_NET_RAW.
"""
import socket
import struct
import subprocess
import sys

from checksum import checksum
from namespaces import sh

SERVER = ("127.0.0.1", 7777)

# The number of other ports to which the server sends segments. It is higher than the maximum number of flows.
OTHER_PORTS = 3000
DATAGRAMS = 150_000

ACK, SYN_ACK = 0x10, 0x12


def segment(port, flags, sequence, payload):
    """Returns a TCP segment from the server to a port of the client's host, with an IPv4 header."""
    address = socket.inet_aton(SERVER[0])
    header = struct.pack(">HHIIBBHHH", SERVER[1], port, sequence, 1, 0x50, flags, 1000, 0, 0)
    pseudo_header = address + address + struct.pack(">HH", socket.IPPROTO_TCP, len(header) + len(payload))
    header = header[:16] + struct.pack(">H", checksum(pseudo_header + header + payload)) + header[18:]
    # The kernel writes the length and the checksum of the IP header.
    ip_header = struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0) + address + address
    return ip_header + header + payload


def serve_tcp(listener):
    connection, (_, client_port) = listener.accept()
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    distances = (0, (1 << 31) - 1, 1 << 30, (1 << 32) - 1)
    for port in [client_port, *range(1, OTHER_PORTS)]:
        flags = SYN_ACK if port % 3 == 0 else ACK
        for distance in distances:
            raw.sendto(segment(port, flags, (port + distance) & 0xFFFFFFFF, b"xx"), (SERVER[0], 0))
    while request := connection.recv(65536):
        connection.sendall(request.upper())


def serve_udp(server):
    # Nothing reads from this socket. Without it, the kernel would send ICMP errors.
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((SERVER[0], 0))
    request, client = server.recvfrom(65536)
    for _ in range(DATAGRAMS):
        server.sendto(b"x", sink.getsockname())
    server.sendto(request.upper(), client)


def main():
    kind, command = sys.argv[1], sys.argv[2:]
    sh("ip link set lo up")
    # If the client does not connect, the script ends with an error.
    socket.setdefaulttimeout(60)
    if kind == "tcp":
        server, serve = socket.create_server(SERVER), serve_tcp
    else:
        server, serve = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), serve_udp
        server.bind(SERVER)
    client = subprocess.Popen(command)
    serve(server)
    sys.exit(client.wait())


main()
