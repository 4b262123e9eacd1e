"""The layers that dialects are made of. A layer passes on everything that it does not change."""
import base64
import fnmatch
import json
import random
import time

from web import Answer


class RpcError(Exception):
    """`status`: the HTTP status if this is the error of a single call."""

    def __init__(self, code, message, status=200):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Layer:
    def refuse(self, request):
        """An answer to the whole request before its calls are read; None: none."""

    def view(self, request, view):
        """Changes the view of the chain for this request: head, hash_head, safe, finalized."""

    def call(self, request, method, params):
        """The result of a call as JSON text; raises RpcError for an error; None: the chain answers."""

    def gone(self, number):
        """True: the result for this block is null. Raises RpcError for an error."""
        return False

    def block(self, block, full):
        """Changes a block, given as an object."""

    def text(self, text, full):
        """Changes a block, given as JSON text."""
        return text

    def members(self, request, members):
        """Changes the answers; `bad` marks those that no longer answer their call. A single call has one answer."""
        return members

    def answer(self, request, answer):
        """Changes the HTTP answer."""

    delay = 0.0  # seconds before each answer


# Answers to whole requests.

def _error(code, message, call_id=None, **more):
    return {"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": message, **more}}


def text(status, body, content_type="text/plain", **headers):
    return lambda request: Answer(status, body.encode(), {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}})


def html(status, title, **headers):
    return text(status, f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n", "text/html", **headers)


def one(status, code, message, **headers):
    """One error object for all."""
    return text(status, json.dumps(_error(code, message)), "application/json", **headers)


def each(status, code, message):
    """An error for each call."""
    def make(request):
        errors = [_error(code, message, c.get("id")) for c in request.calls]
        return Answer(status, json.dumps(errors if request.batch else errors[0]).encode())
    return make


def first(status, code, message):
    """An error for the first call; the others are left out."""
    return lambda request: Answer(status, json.dumps([_error(code, message, request.calls[0].get("id"))]).encode())


class Always(Layer):
    def __init__(self, how):
        self.refuse = how


class AtFirst(Layer):
    def __init__(self, seconds, how):
        self.seconds, self.how = seconds, how

    def refuse(self, request):
        return self.how(request) if request.age < self.seconds else None


class Redirect(Layer):
    """`path`: only requests to another path; else all."""

    def __init__(self, status, location, path=None):
        self.status, self.location, self.path = status, location, path

    def refuse(self, request):
        if request.path != self.path:
            return Answer(self.status, b"", {"Location": self.location.format(host=request.headers.get("host", ""))})


class BasicAuth(Layer):
    def __init__(self, user, password):
        self.expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def refuse(self, request):
        if request.headers.get("authorization") != self.expected:
            return Answer(401, b"authorization required\n", {"Content-Type": "text/plain", "WWW-Authenticate": 'Basic realm="node"'})


# Methods.

class Deny(Layer):
    """A JSON-RPC error for methods by pattern, with `status` for a single call. `body`: this text answers the whole request."""

    def __init__(self, *patterns, code=-32601, message="the method {} does not exist/is not available", status=200, body=None):
        self.patterns, self.code, self.message, self.status, self.body = patterns, code, message, status, body

    def denied(self, method):
        return any(fnmatch.fnmatch(method, p) for p in self.patterns)

    def refuse(self, request):
        if self.body and any(self.denied(c.get("method", "")) for c in request.calls):
            return text(self.status, self.body)(request)

    def call(self, request, method, params):
        if self.denied(method):
            raise RpcError(self.code, self.message.format(method), self.status)


class Allow(Deny):
    """Denies all methods but these."""

    def denied(self, method):
        return not super().denied(method)


class Result(Layer):
    """The same result for a method, for `until` seconds if given."""

    def __init__(self, method, result, until=float("inf")):
        self.method, self.result, self.until = method, result, until

    def call(self, request, method, params):
        if method == self.method and request.age < self.until:
            return json.dumps(self.result)


# Limits.

class BatchLimit(Layer):
    def __init__(self, most, how):
        self.most, self.how = most, how

    def refuse(self, request):
        return self.how(request) if request.batch and len(request.calls) > self.most else None


class Rate(Layer):
    """`per_second` tokens, `burst` at once. A request costs 1, or with `calls` as many as it has calls; what is over the limit is refused: the whole request, or with `partly` single
    calls by `code` and `message`."""

    def __init__(self, per_second, burst, how=None, calls=False, partly=None):
        self.per_second, self.burst, self.how, self.calls, self.partly = per_second, burst, how, calls, partly
        self.tokens, self.at = burst, time.monotonic()

    def take(self, n):
        now = time.monotonic()
        self.tokens, self.at = min(self.burst, self.tokens + (now - self.at) * self.per_second), now
        if self.tokens < n:
            return False
        self.tokens -= n
        return True

    def refuse(self, request):
        if self.how and not self.take(len(request.calls) if self.calls else 1):
            return self.how(request)

    def call(self, request, method, params):
        if self.partly and not self.take(1):
            raise RpcError(*self.partly, status=429)


class Lot(Layer):
    """Refuses one of this many requests at random."""

    def __init__(self, of, how):
        self.of, self.how, self.random = of, how, random.Random(of)

    def refuse(self, request):
        return self.how(request) if self.random.randrange(self.of) == 0 else None


# Answers of a batch.

class Shuffle(Layer):
    random = random.Random(1)

    def members(self, request, members):
        return self.random.sample(members, len(members))


class BadIds(Layer):
    """Every nth answer of a batch has another id, or none."""

    def __init__(self, nth, form=None):
        self.nth, self.form = nth, form

    def members(self, request, members):
        for m in members[self.nth - 1 :: self.nth] if request.batch else []:
            m.bad = True
            m.id = self.form.format(m.id) if self.form else None
            m.has_id = self.form is not None
        return members


class Twice(Layer):
    """Every nth answer of a batch comes twice."""

    def __init__(self, nth):
        self.nth = nth

    def members(self, request, members):
        if not request.batch or len(members) < self.nth:
            return members
        request.mangled = True
        return [x for i, m in enumerate(members, 1) for x in ([m, m] if i % self.nth == 0 else [m])]


class ErrorBeside(Layer):
    def members(self, request, members):
        for m in members:
            if m.error is None:
                m.bad, m.error = True, {"code": 0, "message": "", "data": None}
        return members


# HTTP.

class Wire(Layer):
    def __init__(self, wire, over=0, close_after=0):
        self.wire, self.over, self.close_after = wire, over, close_after

    def answer(self, request, answer):
        if len(answer.body) > self.over:
            answer.wire = self.wire
        if self.close_after and request.turn % self.close_after == 0:
            answer.close = True


class Slow(Layer):
    def __init__(self, seconds):
        self.delay = seconds


class PlainText(Layer):
    def answer(self, request, answer):
        answer.headers["Content-Type"] = "text/plain; charset=utf-8"
        answer.body = b"\r\n\t  \n" + answer.body


# Shapes of blocks.

class Shape(Layer):
    def __init__(self, change):
        self.block = change


class Fat(Layer):
    """Adds a field of `header` bytes to a header, of `block` bytes to a block."""

    def __init__(self, header, block):
        self.padding = {False: "0" * header, True: "0" * block}

    def text(self, text, full):
        return text[:-1] + ',"padding":"0x' + self.padding[full] + '"}'


QUANTITIES = {"number", "gasLimit", "gasUsed", "timestamp", "difficulty", "baseFeePerGas", "blobGasUsed", "excessBlobGas", "gas", "gasPrice", "value", "chainId", "mint",
              "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas", "blockNumber", "transactionIndex", "v", "yParity"}


def _each_object(block, visit):
    """Visits the block, its transactions, and their lists."""
    visit(block)
    for t in block["transactions"]:
        if isinstance(t, dict):
            visit(t)
            for entry in t.get("accessList", []) + t.get("authorizationList", []):
                visit(entry)


def zeros(block, full):
    def visit(o):
        for k, v in o.items():
            if isinstance(v, str) and k in ("r", "s"):
                o[k] = "0x" + v[2:].zfill(64)
            elif isinstance(v, str) and (k in QUANTITIES or (k == "nonce" and len(v) != 18)):
                o[k] = "0x00" + v[2:]
    _each_object(block, visit)


def mixed_case(block, full):
    def visit(o):
        for k in ("miner", "from", "to", "address"):
            if isinstance(o.get(k), str):
                o[k] = "0x" + "".join(c.upper() if i % 3 else c for i, c in enumerate(o[k][2:]))
    _each_object(block, visit)


def more_fields(block, full):
    block.pop("size")
    block |= {"totalDifficulty": "0x0", "l1BlockNumber": "0x3e8", "sendCount": "0x2a", "sendRoot": "0x" + "11" * 32, "milliTimestamp": "0x18f", "blobSchedule": {"target": 6, "max": [9, None]},
              "committee": [], "epoch": None, "indexedAt": 1764700000.25, "canonical": True, "author": "0x" + "22" * 20, "sealFields": ["0x", {"deep": [[[]]]}], "ü": "ﬀ\\\""}
    for t in block["transactions"]:
        if isinstance(t, dict):
            t |= {"creates": None, "condition": None, "blockTimestamp": block["timestamp"], "l1Fee": "0x1", "publicKey": "0x04"}


def reth_deposits(block, full):
    for t in block["transactions"]:
        if isinstance(t, dict) and t["type"] == "0x7e":
            for k in ("isSystemTx", "nonce", "gasPrice", "v", "r", "s", "yParity", "depositReceiptVersion"):
                t.pop(k, None)
            if t.get("mint", "0x0") == "0x0":
                t["mint"] = None


def no_requests_hash(block, full):
    block.pop("requestsHash")


# Views of the chain.

class Replicas(Layer):
    """Each request in turn sees a head that is this many blocks behind."""

    def __init__(self, *behind):
        self.behind = behind

    def view(self, request, view):
        view.head = view.hash_head = max(0, view.head - self.behind[request.number % len(self.behind)])


class HashesBehind(Layer):
    def __init__(self, blocks):
        self.blocks = blocks

    def view(self, request, view):
        view.hash_head = max(0, view.head - self.blocks)


class FinalizedBack(Layer):
    """Every nth request sees a finalized block that is `blocks` lower."""

    def __init__(self, nth, blocks):
        self.nth, self.blocks = nth, blocks

    def view(self, request, view):
        if request.number % self.nth == 0:
            view.finalized = max(0, view.finalized - self.blocks)


class NoTags(Layer):
    """Safe and finalized: null, or an error."""

    def __init__(self, code=None, message=""):
        self.code, self.message = code, message

    def call(self, request, method, params):
        if method == "eth_getBlockByNumber" and params and params[0] in ("safe", "finalized"):
            if self.code is None:
                return "null"
            raise RpcError(self.code, self.message.format(params[0]))


class Pruned(Layer):
    """Blocks from 1 to below `first`: null, or an error."""

    def __init__(self, first, code=None, message=""):
        self.first, self.code, self.message = first, code, message

    def gone(self, number):
        if not 0 < number < self.first:
            return False
        if self.code is None:
            return True
        raise RpcError(self.code, self.message)


class StopsAt(Layer):
    """The head stays at a block, and eth_syncing says that a sync goes on from it. With `after` the head stays where it was at that second."""

    def __init__(self, block=None, after=None):
        self.at, self.after = block, after

    def view(self, request, view):
        if self.at is None and request.age >= self.after:
            self.at = view.head
        if self.at is not None:
            view.head = view.hash_head = min(view.head, self.at)

    def call(self, request, method, params):
        if method == "eth_syncing" and self.after is None:
            return json.dumps({"startingBlock": "0x0", "currentBlock": hex(self.at), "highestBlock": hex(self.at + 100_000)})


class Halts(Layer):
    """From second `after` on a consensus client's status stands still, in requests for it alone; everything else is refused."""

    def __init__(self, after):
        self.after, self.last = after, None

    def call(self, request, method, params):
        if request.age < self.after:
            return None
        if self.last and all(c.get("method") == "optimism_syncStatus" for c in request.calls):
            return self.last
        raise RpcError(-32011, "no backend is currently healthy to serve traffic", 503)

    def members(self, request, members):
        self.last = next((m.result for c, m in zip(request.calls, members) if c.get("method") == "optimism_syncStatus" and m.result), self.last)
        return members
