"""A gateway that answers for several execution clients as long as they agree, as proxyd's consensus-aware groups do."""
import asyncio
import json
import threading

from .http_proxy import HttpProxy
from .procs import free_port
from .rpc import Rpc


class ConsensusGateway(HttpProxy):
    """`latest` is the highest block that all clients share, so it stands still while one of them is on another branch. `safe` and `finalized` are the lowest of the clients'.
    Labels are replaced by these numbers, and blocks above `latest` are null. Requests go to the clients in turn, so a block that is asked for by its hash may be there or not."""

    EVERY_S = 1.0

    def __init__(self, urls):
        self.nodes, self.turn, self.labels = [Rpc(u) for u in urls], 0, {}
        self._over = threading.Event()
        self._look()
        super().__init__(urls[0], free_port())
        self._looks = threading.Thread(target=self._look_again, daemon=True)
        self._looks.start()

    def _look(self):
        low = {label: min(n.height(label) for n in self.nodes) for label in ("latest", "safe", "finalized")}
        while len({n.ref(low["latest"]) for n in self.nodes}) > 1:
            low["latest"] -= 1
        self.labels = low

    def _look_again(self):
        while not self._over.wait(self.EVERY_S):
            try:
                self._look()
            except Exception as e:  # noqa: BLE001 the labels stand still while a client is away
                print("no consensus:", e)

    def stop(self):
        self._over.set()
        self._looks.join(60)
        super().stop()

    async def handle(self, path, headers, body):
        request = json.loads(body)
        calls, answers, rest = request if isinstance(request, list) else [request], {}, []
        labels = self.labels
        for call in calls:
            params = call.get("params") or []
            if call["method"] == "eth_blockNumber":
                answers[call["id"]] = hex(labels["latest"])
            elif call["method"] == "eth_getBlockByNumber" and params[0] in labels:
                rest.append({**call, "params": [hex(labels[params[0]]), *params[1:]]})
            elif call["method"] == "eth_getBlockByNumber" and params[0].startswith("0x") and int(params[0], 16) > labels["latest"]:
                answers[call["id"]] = None
            else:
                rest.append(call)
        replies = []
        if rest:
            self.turn += 1
            node = self.nodes[self.turn % len(self.nodes)]
            replies = json.loads(await asyncio.to_thread(node.exchange, json.dumps(rest)))
        own = [{"jsonrpc": "2.0", "id": call["id"], "result": answers[call["id"]]} for call in calls if call["id"] in answers]
        replies = sorted(replies + own, key=lambda r: [c["id"] for c in calls].index(r["id"]))
        return 200, json.dumps(replies if isinstance(request, list) else replies[0]).encode(), {}
