"""Answers UDP requests on loopback, and sends forged ICMP errors "port unreachable" about these requests.

    python3 forged_errors.py KIND ADDRESS CLIENT OPTIONS...

Runs CLIENT with a server on ADDRESS (127.0.0.1 or ::1). Before each reply, the script sends errors to the client. KIND
contains some of these words:

- "short": the error quotes only the headers, with the correct addresses and ports.
- "false": the error quotes a request with a wrong token.
- "complete": the error quotes the whole request. There is no error about the first request, and no delay before a reply.
- "many": 40 errors instead of one, before and after each reply.
- "silent": the server does not reply.
- "diagnose": CLIENT runs the command `diagnose`, and not a series.

Prints the output of the client, and ends with its exit status. Raw sockets need the capability CAP_NET_RAW.
"""
import socket
import struct
import subprocess
import sys
import threading
import time

from checksum import with_checksum

# The client processes the errors while their request is in flight.
REPLY_DELAY_S = 0.005
MANY = 40
UDP = 17
# The position of the number of a request is the end of the timing header. The token follows the number.
HEADER_LEN, NUMBER_LEN, TOKEN_LEN = 118, 10, 13


def error(address, ports, payload, quoted):
    """Returns the ICMP error about a datagram with this payload. It quotes the headers and the bytes `quoted`."""
    length = 8 + len(payload)
    udp = struct.pack(">HHHH", *ports, length, 0)
    if ":" in address:
        ip = socket.inet_pton(socket.AF_INET6, address)
        header = struct.pack(">IHBB", 6 << 28, length, UDP, 64) + ip + ip
        # The kernel adds the checksum.
        return struct.pack(">BBHI", 1, 4, 0, 0) + header + udp + quoted
    ip = socket.inet_aton(address)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, UDP, 0) + ip + ip
    return with_checksum(struct.pack(">BBHI", 3, 3, 0, 0) + header + udp + quoted)


def quotation(kinds, request):
    """Returns the bytes of the request that an error quotes."""
    if "short" in kinds:
        return b""
    if "complete" in kinds:
        return request
    start = HEADER_LEN + NUMBER_LEN
    return request[:start] + b"A" * TOKEN_LEN + request[start + TOKEN_LEN:]


def serve(kinds, address, server, raw):
    is_first = True
    while True:
        request, client = server.recvfrom(65535)
        ports = (client[1], server.getsockname()[1])
        message = error(address, ports, request, quotation(kinds, request))
        number = MANY if "many" in kinds else 1
        if is_first and "complete" in kinds and "silent" not in kinds:
            number = 0
        is_first = False
        for _ in range(number):
            raw.sendto(message, (address, 0))
        if "silent" not in kinds:
            time.sleep(0 if "complete" in kinds else REPLY_DELAY_S)
            server.sendto(request.upper(), client)
        if "many" in kinds:
            for _ in range(number):
                raw.sendto(message, (address, 0))


def main():
    kinds, address, client = sys.argv[1].split(), sys.argv[2], sys.argv[3:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP
    raw = socket.socket(family, socket.SOCK_RAW, protocol)
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, 0))
    threading.Thread(target=serve, args=(kinds, address, server, raw), daemon=True).start()
    host = f"[{address}]" if ":" in address else address
    target = f"{host}:{server.getsockname()[1]}"
    command = ["diagnose", f"udp://{target}"] if "diagnose" in kinds else ["udp", target]
    sys.exit(subprocess.call([client[0], *command, *client[1:]]))


main()
