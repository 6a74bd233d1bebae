"""The UDP server of the textbook: answers every datagram (up to 2,048 bytes).

It listens on a free port, and prints the port.
"""
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    sentence, client = server.recvfrom(2048)
    server.sendto(sentence.decode().upper().encode(), client)
