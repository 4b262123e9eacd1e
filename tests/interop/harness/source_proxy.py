"""A source with faults on command: the JSON-RPC of a real node, delayed, dead, or lying."""
import asyncio
import json

from .http_proxy import Drop, HttpProxy


def lie_in_body(method, params, result):
    """A block body that does not fit its header: the last transaction is changed or missing."""
    if result is None:
        return result
    if method == "debug_getRawBlock" and len(result) > 2000:
        at = len(result) - 60  # inside the last transaction, well before the empty lists at the end
        return result[:at] + ("1" if result[at] == "0" else "0") + result[at + 1:]
    if method in ("eth_getBlockByNumber", "eth_getBlockByHash") and result.get("transactions") and isinstance(result["transactions"][0], dict):
        last = result["transactions"][-1]
        if "value" in last:
            return {**result, "transactions": result["transactions"][:-1] + [{**last, "value": hex(int(last["value"], 16) + 1)}]}
    return result


class SourceProxy(HttpProxy):
    """delay: seconds added to each request (a round trip), others at the same time; lie: a function (method, params, result) -> result;
    hang: takes requests and never answers."""

    def __init__(self, upstream, port):
        self.delay, self.lie, self.hang = 0.0, None, False
        self.requests, self.lies, self.calls = 0, 0, {}
        super().__init__(upstream, port)

    async def handle(self, path, headers, body):
        self.requests += 1
        if self.hang:
            await asyncio.sleep(3600)
            raise Drop
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = await self.forward(path, headers, body)
        return self._twist(body, answer) if self.lie else answer

    def _twist(self, body, answer):
        status, data, extra = answer
        request, reply = json.loads(body), json.loads(data)
        calls = {c["id"]: c for c in (request if isinstance(request, list) else [request])}
        for r in reply if isinstance(reply, list) else [reply]:
            call = calls.get(r.get("id"))
            if call and "result" in r:
                twisted = self.lie(call["method"], call.get("params") or [], r["result"])
                if twisted is not r["result"]:
                    r["result"] = twisted
                    self.lies += 1
        return status, json.dumps(reply).encode(), extra
