"""As much HTTP/2 as an attacker needs to call gRPC: frames, and headers that are written out."""
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, DATA, SETTINGS, WINDOW_UPDATE = 1, 0, 4, 8
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name, value):
    # Literal, never indexed, without Huffman; all lengths are below 127.
    return bytes([0x10, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        self.next = 1

    def call(self, path, message=b"", declared=None):
        """Opens a call and sends its only message, of which `declared` bytes are announced."""
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers"), ("content-type", "application/grpc")]
        stream, self.next = self.next, self.next + 2
        size = len(message) if declared is None else declared
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, b"".join(header(*h) for h in headers)))
        self.socket.sendall(frame(DATA, END_STREAM if size == len(message) else 0, stream, b"\0" + struct.pack(">I", size) + message))
        return stream

    def more(self, stream, data):
        """Whatever flow control says: a receiver that obeys it closes."""
        for at in range(0, len(data), 16384):
            self.socket.sendall(frame(DATA, 0, stream, data[at : at + 16384]))

    def close(self):
        self.socket.close()
