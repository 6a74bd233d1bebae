"""The Internet checksum (RFC 1071), for scripts that build packets."""
import struct


def checksum(data):
    """Returns the Internet checksum of the bytes."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(message):
    """Returns the ICMP message with its checksum in bytes 2 and 3. They are zero in `message`."""
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]
