"""HTTP and WebSocket by hand on asyncio streams: the dialects need answers that no HTTP library would write."""
import asyncio
import base64
import hashlib
import struct
from dataclasses import dataclass, field

REASONS = {200: "OK", 301: "Moved Permanently", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
           405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large", 426: "Upgrade Required", 429: "Too Many Requests", 500: "Internal Server Error",
           503: "Service Unavailable"}


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    wire: str = "length"  # length, chunked, http-1.0, cut
    close: bool = False


async def read_request(reader):
    """(method, path, headers with lower-case names, body); None: the client is gone."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += await reader.readexactly(size)
                await reader.readline()
            while await reader.readline() not in (b"\r\n", b""):
                pass
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return method, path, headers, body
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def write_answer(writer, a):
    """False: the connection must be closed."""
    keep = a.wire in ("length", "chunked") and not a.close
    headers = {"Content-Type": "application/json", **a.headers}
    if a.wire == "chunked":
        headers |= {"Transfer-Encoding": "chunked", "Trailer": "Served-By"}
    elif a.wire != "http-1.0":
        headers["Content-Length"] = str(len(a.body))
    version = "1.0" if a.wire == "http-1.0" else "1.1"
    writer.write(f"HTTP/{version} {a.status} {REASONS[a.status]}\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n")
    if a.wire == "chunked":
        at, size = 0, 1
        while at < len(a.body):
            part = a.body[at:at + size]
            writer.write(f"{len(part):x};turn={at}\r\n".encode() + part + b"\r\n")
            at, size = at + size, size * 3 % 4099
        writer.write(b"0\r\nServed-By: replica 7\r\n\r\n")
    else:
        writer.write(a.body[: len(a.body) * 2 // 3] if a.wire == "cut" else a.body)
    await writer.drain()
    return keep


class WebSocket:
    """The server's end of a connection, after the handshake."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def open(self, headers):
        key = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self.writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n".encode())
        await self.writer.drain()

    async def receive(self):
        """A whole message; None: the client is gone."""
        message = b""
        try:
            while True:
                first, second = await self.reader.readexactly(2)
                size = second & 0x7F
                if size == 126:
                    size = struct.unpack(">H", await self.reader.readexactly(2))[0]
                elif size == 127:
                    size = struct.unpack(">Q", await self.reader.readexactly(8))[0]
                mask = await self.reader.readexactly(4) if second & 0x80 else bytes(4)
                data = bytes(b ^ mask[i % 4] for i, b in enumerate(await self.reader.readexactly(size)))
                opcode = first & 0x0F
                if opcode == 8:
                    await self.send(data, 8)
                    return None
                if opcode == 9:
                    await self.send(data, 10)
                elif opcode in (0, 1, 2):
                    message += data
                    if first & 0x80:
                        return message
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def send(self, data, opcode=1):
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data)) if len(data) < 1 << 16 else b"\x7f" + struct.pack(">Q", len(data))
        self.writer.write(bytes([0x80 | opcode]) + size + data)
        await self.writer.drain()
