"""The TCP server of the textbook: reads once (up to 1,024 bytes), answers, and closes the connection.

It listens on a free port, and prints the port.
"""
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(("127.0.0.1", 0))
server.listen(1)
print(server.getsockname()[1], flush=True)
while True:
    connection, _ = server.accept()
    sentence = connection.recv(1024).decode()
    connection.send(sentence.upper().encode())
    connection.close()
