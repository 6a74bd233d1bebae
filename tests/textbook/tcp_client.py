"""The TCP client of the textbook: connects, sends once, reads once (up to 1,024 bytes), and closes the connection."""
import socket
import sys

host, port, sentence = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM)
client.settimeout(10)
client.connect((host, port))
client.send(sentence.encode())
sys.stdout.buffer.write(client.recv(1024))
client.close()
