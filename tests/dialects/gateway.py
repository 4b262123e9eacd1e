"""A gateway in front of a devnet that speaks dialects of the table, each on a port of its own.

    gateway.py DEVNET_DIR OWN_DIR NAME...

DEVNET_DIR has the devnet's endpoints.json; certificates go to OWN_DIR. The gateway prints one JSON line: the endpoints in the form of the endpoints file, and a control address that
answers any request with counters. It ends with its standard input. It answers from a copy of the devnet's chain, so that it can make every view of the chain (replicas, pruned,
syncing); other calls go to the devnet.
"""
import asyncio
import collections
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))

import layers  # noqa: E402
import patient  # noqa: E402
import table  # noqa: E402
from web import Answer, WebSocket, read_request, write_answer  # noqa: E402

POLL = 0.2


def post(url, body):
    return json.loads(patient.post(url, json.dumps(body).encode())[1])


def block_call(which, full=False, call_id=0):
    return {"jsonrpc": "2.0", "id": call_id, "method": "eth_getBlockByNumber", "params": [which, full]}


class Chain:
    """A copy of the devnet's chain."""

    def __init__(self, endpoints):
        self.el, self.cl = endpoints["sources"][0], endpoints["cl"]
        self.blocks, self.numbers = [], {}
        self.safe = self.finalized = 0
        self.grown = asyncio.Event()

    @property
    def head(self):
        return len(self.blocks) - 1

    def look(self):
        labels = [int(a["result"]["number"], 16) for a in post(self.el, [block_call(t, False, i) for i, t in enumerate(("finalized", "safe", "latest"))])]
        new = []
        for start in range(len(self.blocks), labels[2] + 1, 100):
            new += [a["result"] for a in post(self.el, [block_call(hex(n), True, n) for n in range(start, min(start + 100, labels[2] + 1))])]
        return labels, new

    async def update(self):
        (finalized, safe, _), new = await asyncio.to_thread(self.look)
        for b in new:
            self.numbers[b["hash"]] = len(self.blocks)
            self.blocks.append(b)
        self.finalized, self.safe = finalized, safe
        if new:
            self.grown.set()
            self.grown = asyncio.Event()

    async def follow(self):
        while True:
            try:
                await self.update()
            except OSError as e:
                print("no look at the devnet:", e, file=sys.stderr)
            await asyncio.sleep(POLL)


@dataclass
class View:
    """The view of the chain for one request."""
    head: int
    hash_head: int
    safe: int
    finalized: int


@dataclass
class Member:
    """One answer, of a batch or alone."""
    id: object
    result: str | None = None
    error: dict | None = None
    status: int = 200
    has_id: bool = True
    bad: bool = False
    key: str = ""

    def text(self):
        parts = ['"jsonrpc":"2.0"']
        if self.has_id:
            parts.append(f'"id":{json.dumps(self.id)}')
        if self.result is not None:
            parts.append(f'"result":{self.result}')
        if self.error is not None:
            parts.append(f'"error":{json.dumps(self.error)}')
        return "{" + ",".join(parts) + "}"


@dataclass
class Request:
    path: str
    headers: dict
    calls: list
    batch: bool
    number: int = 0  # of this endpoint
    turn: int = 0    # of this connection
    age: float = 0   # seconds since the first request
    mangled: bool = False
    thrown_away: bool = False


@dataclass
class Counters:
    """`nothing`: requests that brought nothing: refused, cut, without one good answer, or with bad answers after which the good ones were asked for again."""
    requests: int = 0
    calls: int = 0
    nothing: int = 0
    most_calls: int = 0
    pushed: int = 0
    statuses: collections.Counter = field(default_factory=collections.Counter)
    methods: collections.Counter = field(default_factory=collections.Counter)
    last: collections.deque = field(default_factory=lambda: collections.deque(maxlen=40))


def _number(params):
    return int(params[0], 16)


class Endpoint:
    def __init__(self, dialect, chain):
        self.dialect, self.layers, self.chain = dialect, dialect.layers, chain
        self.counters, self.begin, self.texts = Counters(), None, {}
        self.mangled = {}  # call of a request with bad answers -> that request, to see whether it is asked for again

    def age(self):
        return time.monotonic() - self.begin if self.begin else 0.0

    # The view of the chain.

    def find(self, view, which):
        """The number of a block; None: there is no such block."""
        if len(which) == 66:
            number = self.chain.numbers.get(which.lower())
            return number if number is not None and number <= view.hash_head else None
        tags = {"latest": view.head, "pending": view.head, "earliest": 0, "safe": min(view.safe, view.head), "finalized": min(view.finalized, view.safe, view.head)}
        number = tags[which] if which in tags else int(which, 16)
        return number if number <= view.head else None

    def block_text(self, number, full):
        text = self.texts.get((number, full))
        if text is None:
            block = json.loads(json.dumps(self.chain.blocks[number]))
            if not full:
                block["transactions"] = [t["hash"] for t in block["transactions"]]
            for x in self.layers:
                x.block(block, full)
            text = self.texts[number, full] = json.dumps(block, ensure_ascii=False, separators=(",", ":"))
        for x in self.layers:
            text = x.text(text, full)
        return text

    async def forward(self, url, method, params):
        answer = await asyncio.to_thread(post, url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if "error" in answer:
            raise layers.RpcError(answer["error"]["code"], answer["error"]["message"])
        return json.dumps(answer["result"])

    async def result(self, view, method, params):
        consensus = method.startswith("optimism_")
        if self.dialect.kind == "cl" or (self.dialect.kind == "both" and consensus):
            return await self.forward(self.chain.cl, method, params)
        by_block = method in ("eth_getBlockByNumber", "eth_getBlockByHash", "debug_getRawBlock", "debug_getRawHeader") or (
            self.dialect.raw_transactions and method == "eth_getRawTransactionByBlockHashAndIndex")
        if method == "eth_blockNumber":
            return json.dumps(hex(view.head))
        if not by_block:
            return await self.forward(self.chain.el, method, params)
        number = self.find(view, params[0])
        if number is None or any(x.gone(number) for x in self.layers):
            if method.startswith("debug_"):
                raise layers.RpcError(-32000, "block not found")
            return "null"
        if method.startswith("eth_getBlockBy"):
            return self.block_text(number, len(params) > 1 and params[1] is True)
        if method.startswith("debug_"):
            return await self.forward(self.chain.el, method, [hex(number)])
        raw = json.loads(await self.forward(self.chain.el, "debug_getRawBlock", [hex(number)]))
        return json.dumps(raw_transaction(bytes.fromhex(raw[2:]), int(params[1], 16)))

    # Requests.

    async def member(self, request, view, call):
        method, params = call.get("method", ""), call.get("params") or []
        m = Member(call.get("id"), key=json.dumps([method, params]))
        try:
            for x in self.layers:
                m.result = x.call(request, method, params)
                if m.result is not None:
                    break
            else:
                m.result = await self.result(view, method, params)
        except layers.RpcError as e:
            m.error, m.status = {"code": e.code, "message": e.message}, e.status
        return m

    def note_again(self, request):
        """Counts a request with bad answers as useless when a call that it answered well is asked again."""
        for call in request.calls:
            before = self.mangled.pop(json.dumps([call.get("method", ""), call.get("params") or []]), None)
            if before and not before.thrown_away:
                before.thrown_away = True
                self.counters.nothing += 1

    async def answer(self, request):
        c = self.counters
        if self.begin is None:
            self.begin = time.monotonic()
        request.age, request.number = self.age(), c.requests
        c.requests += 1
        c.calls += len(request.calls)
        c.most_calls = max(c.most_calls, len(request.calls))
        c.methods.update(x.get("method", "") for x in request.calls)
        self.note_again(request)
        for x in self.layers:
            if x.delay:
                await asyncio.sleep(x.delay)
        a, note = next((a for x in self.layers if (a := x.refuse(request))), None), "refused"
        if a is None:
            a, note = await self.answer_calls(request)
        for x in self.layers:
            x.answer(request, a)
        if a.wire == "cut":
            note = "cut"
        if note in ("refused", "cut", "no good answer"):
            c.nothing += 1
        c.statuses[a.status] += 1
        names = collections.Counter(x.get("method", "") for x in request.calls)
        c.last.append(f"{request.age:6.2f} s  {a.status}  {len(a.body):8} B  {note:14}  " + ", ".join(f"{n} {m}" for m, n in names.items()))
        return a

    async def answer_calls(self, request):
        chain = self.chain
        view = View(chain.head, chain.head, chain.safe, chain.finalized)
        for x in self.layers:
            x.view(request, view)
        members = [await self.member(request, view, call) for call in request.calls]
        for x in self.layers:
            members = x.members(request, members)
        # "No such method" is an answer, too.
        good = [m for m in members if not m.bad and (m.error is None or m.error["code"] == -32601)]
        mangled = request.mangled or (request.batch and len(good) < len(members))
        if good and mangled:
            # Labels move, so asking for them again means nothing.
            self.mangled.update((m.key, request) for m in good if '"0x' in m.key)
        note = "good" if not mangled and good else "partly" if good else "no good answer"
        if request.batch:
            return Answer(200, ("[" + ",".join(m.text() for m in members) + "]").encode()), note
        return Answer(members[0].status, members[0].text().encode()), note

    def request(self, path, headers, body, turn):
        try:
            doc = json.loads(body)
        except ValueError:
            return None
        calls = doc if isinstance(doc, list) else [doc]
        return Request(path, headers, calls, isinstance(doc, list), turn=turn) if calls and all(isinstance(x, dict) for x in calls) else None

    async def serve(self, reader, writer):
        turn = 0
        try:
            while got := await read_request(reader):
                method, path, headers, body = got
                if self.dialect.websocket:
                    if "sec-websocket-key" in headers:
                        return await self.serve_websocket(reader, writer, path, headers)
                    await write_answer(writer, Answer(400, b"Bad Request\n", {"Content-Type": "text/plain"}))
                    return
                turn += 1
                request = self.request(path, headers, body, turn) if method == "POST" else None
                a = await self.answer(request) if request else Answer(400, b"not a JSON-RPC request\n", {"Content-Type": "text/plain"})
                if not await write_answer(writer, a):
                    return
        except OSError:
            pass  # the client, or the devnet behind us
        finally:
            writer.close()

    async def serve_websocket(self, reader, writer, path, headers):
        ws = WebSocket(reader, writer)
        await ws.open(headers)
        pushing = None
        try:
            while (body := await ws.receive()) is not None:
                request = self.request(path, headers, body, 0)
                if request and not request.batch and request.calls[0].get("method") == "eth_subscribe":
                    self.counters.methods["eth_subscribe"] += 1
                    await ws.send(Member(request.calls[0].get("id"), '"0x1"').text().encode())
                    pushing = pushing or asyncio.create_task(self.push(ws))
                elif request:
                    await ws.send((await self.answer(request)).body)
        finally:
            if pushing:
                pushing.cancel()

    async def push(self, ws):
        last = self.chain.head
        while True:
            await self.chain.grown.wait()
            for number in range(last + 1, self.chain.head + 1):
                await ws.send(f'{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"0x1","result":{self.block_text(number, False)}}}}}'.encode())
                self.counters.pushed += 1
            last = self.chain.head

    def report(self):
        c = self.counters
        return {"requests": c.requests, "calls": c.calls, "nothing": c.nothing, "most_calls": c.most_calls, "pushed": c.pushed, "age": round(self.age(), 1),
                "head": self.chain.head, "statuses": dict(c.statuses), "methods": dict(c.methods), "last": list(c.last)}


def raw_transaction(block, index):
    """The transactions of a raw block: rlp [header, [transactions], ..]."""
    def item(at):
        """(start of the payload, its end)"""
        b = block[at]
        if b < 0x80:
            return at, at + 1
        base = 0xC0 if b >= 0xC0 else 0x80
        if b - base < 56:
            return at + 1, at + 1 + b - base
        n = b - base - 55
        return at + 1 + n, at + 1 + n + int.from_bytes(block[at + 1 : at + 1 + n], "big")
    at = item(item(0)[0])[1]  # after the header
    at, end = item(at)
    while at < end and index > 0:
        at, index = item(at)[1], index - 1
    if at >= end:
        return None
    start, stop = item(at)
    return "0x" + (block[at:stop] if block[at] >= 0xC0 else block[start:stop]).hex()


def make_certificate(directory):
    """Makes a CA and its certificate for 127.0.0.1."""
    d = Path(directory)
    d.mkdir(parents=True, exist_ok=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=A CA of our own", "-addext", "keyUsage=critical,keyCertSign"],
                    ["req", *key, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node"]):
        subprocess.run(["openssl", *command], cwd=d, check=True, capture_output=True)
    (d / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    subprocess.run(["openssl", "x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "node.pem"], cwd=d,
                   check=True, capture_output=True)
    return d


async def listen(dialect, chain, directory):
    """(the endpoint, or None if nothing answers; its entry in the endpoints file)"""
    if dialect.url:
        return None, {"url": dialect.url}
    if dialect.refuses:
        held = socket.socket()
        held.bind(("127.0.0.1", 0))
        chain.held = held  # bound and not listening as long as this process lives
        return None, {"url": f"http://127.0.0.1:{held.getsockname()[1]}"}
    endpoint, tls, more = Endpoint(dialect, chain), None, {}
    if dialect.tls:
        d = await asyncio.to_thread(make_certificate, directory)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(d / "node.pem", d / "node.key")
        more = {"ca_file": str(d / "ca.pem")} if dialect.tls == "named" else {}
    server = await asyncio.start_server(endpoint.serve, dialect.host, 0, ssl=tls, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    host = f"[{dialect.host}]" if ":" in dialect.host else dialect.host
    return endpoint, {"url": f"{'https' if tls else 'ws' if dialect.websocket else 'http'}://{dialect.userinfo}{host}:{port}{dialect.path}", **more}


async def main(devnet, directory, names):
    chain = Chain(json.loads((Path(devnet) / "endpoints.json").read_text()))
    await chain.update()
    endpoints, entries = {}, []
    for i, name in enumerate(names):
        endpoint, entry = await listen(table.DIALECTS[name], chain, Path(directory) / f"tls-{i}")
        endpoints[f"{i} {name}"] = endpoint
        entries.append(entry)

    async def control(reader, writer):
        if await read_request(reader):
            await write_answer(writer, Answer(200, json.dumps({n: e.report() for n, e in endpoints.items() if e}).encode(), close=True))
        writer.close()

    server = await asyncio.start_server(control, "127.0.0.1", 0)
    print(json.dumps({"endpoints": entries, "control": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}), flush=True)
    await chain.follow()


if __name__ == "__main__":
    # The parent process may be killed: then this one ends, too.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
