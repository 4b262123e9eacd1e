"""The recorder between engine-driver and the execution client, and the rules that recordings must obey."""
import asyncio
import json
import threading
import time

from .http_proxy import HttpProxy, Upstream

ZERO = "0x" + "00" * 32


class EngineTrace:
    """A list of records, oldest first. A record is a dict with t (monotonic seconds), kind, and

    newPayload  method, number, hash, parent, status (VALID .. or "error -38005" or "lost")
    forkchoice  method, head, safe, finalized, status, attributes (bool)
    read        method, params, status; number and hash too where it asked for the latest block
    mark        what, and further keys of the test
    """

    def __init__(self):
        self._records, self._lock = [], threading.Lock()

    def add(self, kind, **fields):
        record = {"t": time.monotonic(), "kind": kind, **fields}
        with self._lock:
            self._records.append(record)
        return record

    def mark(self, what, **fields):
        self.add("mark", what=what, **fields)

    def records(self, kind=None, since=0.0):
        with self._lock:
            return [r for r in self._records if (kind is None or r["kind"] == kind) and r["t"] >= since]

    def clear(self):
        with self._lock:
            self._records.clear()

    def dump(self, path):
        with open(path, "w") as f:
            for r in self.records():
                f.write(json.dumps(r) + "\n")

    def problems(self, numbers):
        """The violations in the whole recording, as a list of sentences; empty: none.

        numbers: {hash: number} of blocks that were not sent as payloads, because the client had them before. A mark "engine restarted" with
        `latest` gives the client's head after it came back, a mark "rewound" the head after debug_setHead. A mark "switch" allows the
        head to go to another, lower branch from then on; it must never go back to an ancestor of its own. After a client was away its labels
        must be read before anything is written.
        """
        number = {ZERO: -1, **numbers}
        parent, out, head, finalized, known = {}, [], None, -1, set(numbers)
        switch, top, came_back_below, lost = False, -1, -1, False

        def ancestor(block, height):
            while block in parent and number[block] > height:
                block = parent[block]
            return block

        for i, r in enumerate(self.records()):
            if r["kind"] in ("newPayload", "forkchoice"):
                if lost:
                    out.append(f"record {i}: {r['kind']} to a client that was away, before its labels were read")
                lost = r["status"] in ("lost", "pending")
            if r["kind"] == "mark":
                if r["what"] in ("engine restarted", "rewound"):
                    head, came_back_below, lost = r["latest"], top, r["what"] == "engine restarted"
                elif r["what"] == "switch":
                    switch = True
            elif r["kind"] == "read" and "hash" in r:
                head, number[r["hash"]], lost = r["hash"], r["number"], False
            elif r["kind"] == "newPayload":
                number[r["hash"]], parent[r["hash"]] = r["number"], r["parent"]
                if r["parent"] not in known:
                    out.append(f"record {i}: newPayload {r['number']} {r['hash']} although its parent was never VALID ({r['status']})")
                if r["status"] == "VALID":
                    known.add(r["hash"])
                elif r["status"] == "INVALID":
                    out.append(f"record {i}: the client called {r['number']} {r['hash']} INVALID: {r.get('error')}")
                elif r["status"] in ("SYNCING", "ACCEPTED") and came_back_below < 0 and not switch:
                    out.append(f"record {i}: the client does not have what {r['number']} {r['hash']} stands on: {r['status']}")
                if r["status"] == "VALID" and r["number"] > came_back_below:
                    came_back_below = -1  # up to this height a killed client may miss blocks that it once had
                if r["status"] in ("VALID", "lost", "pending"):
                    top = max(top, r["number"])
            elif r["kind"] == "forkchoice":
                if r["attributes"] and came_back_below < 0:
                    out.append(f"record {i}: a forkchoice update with attributes, to a client that was not killed")
                if r["head"] not in number:
                    out.append(f"record {i}: forkchoice head {r['head']} was never seen")
                    continue
                if head is not None and number[r["head"]] < number[head] and (not switch or ancestor(head, number[r["head"]]) == r["head"]):
                    out.append(f"record {i}: the head was taken back from {number[head]} to {number[r['head']]}")
                for label in ("safe", "finalized"):
                    if r[label] not in number:
                        out.append(f"record {i}: {label} {r[label]} was never seen")
                f, s, h = number.get(r["finalized"], -1), number.get(r["safe"], -1), number[r["head"]]
                if f >= 0 and f < finalized:
                    out.append(f"record {i}: finalized went back from {finalized} to {f}")
                if s > h or f > h or (s >= 0 and f > s):
                    out.append(f"record {i}: labels out of order: finalized {f}, safe {s}, head {h}")
                if r["status"] == "VALID":
                    head = r["head"]
                    finalized = max(finalized, f)
        return out


class EngineProxy(HttpProxy):
    """Forwards the Engine API and records it."""

    def __init__(self, upstream, port, trace):
        self.trace = trace
        self.delay = 0.0
        super().__init__(upstream, port)

    async def handle(self, path, headers, body):
        request = json.loads(body)
        record = self._start(request) if isinstance(request, dict) else self.trace.add("read", method="batch", params=[c["method"] for c in request])
        if self.delay and record["kind"] == "newPayload":
            await asyncio.sleep(self.delay)
        try:
            status, answer, extra = await self.forward(path, headers, body)
        except Upstream:
            record["status"] = "lost"
            raise
        if status != 200:
            record["status"] = f"http {status}"
        elif record["kind"] == "read":
            record["status"] = "answered"
            calls, answers = (request, json.loads(answer)) if isinstance(request, list) else ([request], [json.loads(answer)])
            for call in calls:
                if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "latest":
                    block = next((a.get("result") for a in answers if a["id"] == call["id"]), None) if isinstance(answers, list) else None
                    if block:
                        record["number"], record["hash"] = int(block["number"], 16), block["hash"]
        else:
            self._finish(record, json.loads(answer))
        record["ms"] = round(1000 * (time.monotonic() - record["t"]), 1)
        return status, answer, extra

    def _start(self, request):
        method, params = request["method"], request.get("params") or []
        if method.startswith("engine_newPayload"):
            p = params[0]
            return self.trace.add("newPayload", method=method, number=int(p["blockNumber"], 16), hash=p["blockHash"], parent=p["parentHash"], status="pending")
        if method.startswith("engine_forkchoiceUpdated"):
            s = params[0]
            return self.trace.add("forkchoice", method=method, head=s["headBlockHash"], safe=s["safeBlockHash"], finalized=s["finalizedBlockHash"],
                                  attributes=len(params) > 1 and params[1] is not None, status="pending")
        return self.trace.add("read", method=method, params=params, status="pending")

    @staticmethod
    def _finish(record, reply):
        if "error" in reply:
            record["status"], record["error"] = f"error {reply['error'].get('code')}", reply["error"].get("message")
            return
        result = reply["result"]
        status = result["payloadStatus"] if record["kind"] == "forkchoice" else result
        record["status"], record["error"] = status["status"], status.get("validationError")
