"""The UDP client of the textbook: sends one datagram and receives one datagram (up to 2,048 bytes).

Its socket is not connected.
"""
import socket
import sys

host, port, sentence = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(10)
client.sendto(sentence.encode(), (host, port))
reply, server = client.recvfrom(2048)
assert server[:2] == (host, port), server
sys.stdout.buffer.write(reply)
client.close()
