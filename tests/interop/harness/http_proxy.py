"""A small HTTP/1.1 reverse proxy on asyncio: the base of the Engine API recorder and of the source with faults."""
import asyncio
import socket
import threading
import urllib.parse


class Upstream(Exception):
    """The node behind the proxy cannot be reached, or closed the connection."""


class Drop(Exception):
    """Closes the client's connection without an answer."""


async def read_message(reader):
    """(first line, headers, body) or None at a clean end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as e:
        if not e.partial:
            return None
        raise
    first, *lines = head[:-4].decode("latin1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            data = await reader.readexactly(size + 2)
            if size == 0:
                break
            parts.append(data[:-2])
        body = b"".join(parts)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return first, headers, body


def set_nodelay(writer):
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class HttpProxy:
    """Runs in its own thread. Subclasses override handle()."""

    def __init__(self, upstream, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.set_upstream(upstream)
        self._idle, self._clients, self._server = [], set(), None
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.open()

    def set_upstream(self, url):
        u = urllib.parse.urlparse(url)
        self.upstream = url
        self._target = (u.hostname, u.port)
        self._idle = []

    # from other threads

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def open(self):
        async def start():
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 26, reuse_address=True)
        if self._server is None:
            self._run(start())

    def close(self):
        """Stops listening and resets every connection: to its clients the node is gone."""
        async def stop():
            if self._server:
                self._server.close()
                self._server = None
            for w in list(self._clients):
                w.transport.abort()
            self._clients.clear()
        self._run(stop())

    def stop(self):
        self.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    # in the loop

    async def handle(self, path, headers, body):
        """Returns (status, body, extra headers)."""
        return await self.forward(path, headers, body)

    async def forward(self, path, headers, body):
        keep = {k: v for k, v in headers.items() if k in ("authorization", "content-type")}
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in keep.items())
        target = self._target
        for attempt in (0, 1):
            pooled = bool(self._idle) and attempt == 0
            try:
                reader, writer = self._idle.pop() if pooled else await asyncio.open_connection(*target, limit=1 << 26)
                if not pooled:
                    set_nodelay(writer)
                writer.write(head.encode() + b"\r\n" + body)
                await writer.drain()
                answer = await read_message(reader)
                if answer is None:
                    raise ConnectionResetError
            except (OSError, asyncio.IncompleteReadError) as e:
                if pooled:
                    continue  # an idle connection that the node had closed meanwhile
                raise Upstream(str(e)) from e
            first, answer_headers, answer_body = answer
            if target == self._target and answer_headers.get("connection", "").lower() != "close":
                self._idle.append((reader, writer))
            else:
                writer.close()
            return int(first.split()[1]), answer_body, {}
        raise Upstream("no connection")

    async def _serve(self, reader, writer):
        self._clients.add(writer)
        set_nodelay(writer)
        try:
            while True:
                message = await read_message(reader)
                if message is None:
                    break
                first, headers, body = message
                status, answer, extra = await self.handle(first.split()[1], headers, body)
                lines = {"content-type": "application/json", "content-length": str(len(answer)), **extra}
                writer.write(f"HTTP/1.1 {status} X\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n" + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, Upstream, Drop):
            pass
        finally:
            self._clients.discard(writer)
            writer.close()
