"""The part of HTTP/2 that an attacker or the bench needs to call gRPC: frames, and uncompressed headers."""
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, DATA, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 1, 0, 3, 4, 6, 8
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name, value):
    # A literal that is never indexed, without Huffman coding; all lengths are below 127.
    return bytes([0x10, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        self.next = 1
        self.initial, self.window = 65535, {0: 65535}
        self.data = bytearray()

    def call(self, path, message=b"", declared=None):
        """Opens a call and begins its only message, which declares `declared` bytes."""
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers"), ("content-type", "application/grpc")]
        stream, self.next = self.next, self.next + 2
        size = len(message) if declared is None else declared
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, b"".join(header(*h) for h in headers)))
        self.socket.sendall(frame(DATA, END_STREAM if size == len(message) else 0, stream, b"\0" + struct.pack(">I", size) + message))
        return stream

    def read_without_limit(self):
        """The other side never waits for this one from now on."""
        most = (1 << 31) - 1
        self.socket.sendall(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, most)) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", most - 65535)))

    def answer(self, stream):
        """The messages that a call is answered with, when it has ended. No other call is under way."""
        self.data = bytearray()
        while self._read(stream):
            pass
        out, at = [], 0
        while at < len(self.data):
            (size,) = struct.unpack_from(">I", self.data, at + 1)
            out.append(self.data[at + 5 : at + 5 + size])
            at += 5 + size
        return out

    def more(self, stream, data):
        """Sends the rest of a message as fast as the server takes it, until the call has ended."""
        at = 0
        while at < len(data):
            room = min(16384, len(data) - at, self.window[0], self.initial + self.window.get(stream, 0))
            if room <= 0:
                if not self._read(stream):
                    return
                continue
            self.socket.sendall(frame(DATA, 0, stream, data[at : at + room]))
            at += room
            self.window[0] -= room
            self.window[stream] = self.window.get(stream, 0) - room
        self.socket.sendall(frame(DATA, END_STREAM, stream))
        while self._read(stream):
            pass

    def _read(self, stream):
        head = self._exactly(9)
        kind, flags, of = head[3], head[4], struct.unpack(">I", head[5:])[0]
        payload = self._exactly(int.from_bytes(head[:3], "big"))
        if kind == WINDOW_UPDATE:
            self.window[of] = self.window.get(of, 0) + struct.unpack(">I", payload)[0]
        elif kind == DATA:
            self.data += payload
        elif kind == SETTINGS and not flags:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == 4:
                    self.initial = value
            self.socket.sendall(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags:
            self.socket.sendall(frame(PING, 1, 0, payload))
        return not (of == stream and (kind == RST_STREAM or flags & END_STREAM))

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise ConnectionError("closed")
            data += part
        return data

    def close(self):
        self.socket.close()
