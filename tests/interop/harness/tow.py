"""A fresh op-geth behind the recorder, with Towline towing it: the base of most tests."""
import json
import threading
import time
from pathlib import Path

from .engine_trace import EngineProxy, EngineTrace
from .nodes import Geth
from .procs import NotReady, free_port, wait_for
from .towline import Towline


class Tow:
    """source: the Rpc of the node with the true chain."""

    def __init__(self, directory, net, source, sources, copy_of=None, admin=False, genesis=None, rollup=None, poll="500ms", geth=None, **towline):
        self.dir, self.source = Path(directory), source
        self.geth = Geth("local-geth", self.dir, genesis or net.genesis, copy_of=copy_of, **(geth or {})).start()
        self.trace = EngineTrace()
        self.proxy = EngineProxy(self.geth.engine_url, free_port(), self.trace)
        self.towline = Towline(self.dir / "towline", rollup or net.rollup, sources, self.proxy.url, self.geth.jwt_file,
                               admin_rpc=self.geth.url if admin else None, poll=poll, **towline)
        # the blocks that the client had before Towline started
        self.had = {h: n for n, h in self.el.hashes(0, self.el.height()).items()}

    @property
    def el(self):
        return self.geth.el

    def start(self):
        self.towline.start()
        return self

    def at_tip(self, within=2):
        """The local head is a block of the source's chain, at most `within` below its head."""
        height = self.source.height()
        local = self.el.ref("latest")
        return local[0] >= height - within and self.source.block(local[0]) and self.source.block(local[0])["hash"] == local[1]

    def labels_follow(self, within=10):
        """Safe and finalized are set, on the source's chain, and at most `within` blocks behind the source's."""
        for tag in ("safe", "finalized"):
            local, remote = self.el.ref(tag), self.source.ref(tag)
            if not local or not remote or local[0] < remote[0] - within:
                return False
            if local[0] <= self.source.height() and self.source.block(local[0])["hash"] != local[1]:
                return False
        return True

    def wait_tip(self, labels=True):
        """Seconds until the tip (and the labels) are reached; fails with all logs if they never are."""
        started = time.monotonic()
        try:
            wait_for("the tip", lambda: self.at_tip() and (not labels or self.labels_follow()), 0.1)
        except NotReady as e:
            raise NotReady(f"{e}\nlocal {self.geth.labels()}\nsource {[self.source.ref(t) for t in ('latest', 'safe', 'finalized')]}\n"
                           f"{self.explain()}\n{self.towline.tails()}\n{self.geth.proc.tail()}") from None
        return time.monotonic() - started

    def explain(self):
        """Towline's own status, for failure messages."""
        try:
            return json.dumps(self.towline.tow(), indent=1) + "\n" + "\n".join(json.dumps(d) for d in self.towline.decisions()[-15:])
        except Exception as e:  # noqa: BLE001 only for a failure message
            return f"(no state: {e})"

    def differing_heights(self):
        """Heights up to the local head at which the local hash is not the source's."""
        height = min(self.el.height(), self.source.height())
        mine, theirs = self.el.hashes(0, height), self.source.hashes(0, height)
        return [n for n in range(height + 1) if mine.get(n) != theirs.get(n)]

    def kill_geth(self):
        """SIGKILL of the local client. Its port is closed before the recorder can be asked again."""
        self.proxy.close()
        self.geth.proc.kill()

    def restart_geth(self):
        """Restarts the client, and records its head before Towline can send anything. Returns the number of lost blocks."""
        before = [r for r in self.trace.records("forkchoice") if r["status"] == "VALID"]
        self.geth.start()
        number, block_hash = self.el.ref("latest")
        lost = 0
        if before:
            numbers = {**self.had, **{r["hash"]: r["number"] for r in self.trace.records("newPayload")}}
            lost = numbers[before[-1]["head"]] - number
        self.trace.mark("engine restarted", latest=block_hash, lost=lost)
        self.proxy.open()
        return lost

    def problems(self):
        return self.trace.problems(self.had)

    def check(self):
        """Checks that hashes are equal at every height, and that the recording has no violation."""
        problems, differing = self.problems(), self.differing_heights()
        if problems:
            self.trace.dump(self.dir / "engine-trace.jsonl")
        assert not problems, "\n".join(problems[:20]) + f"\nthe recording: {self.dir / 'engine-trace.jsonl'}\n" + self.explain()
        assert not differing, f"hashes differ at {differing[:10]} ({len(differing)} heights)\n" + self.explain()

    def stop(self):
        """Stops everything. A service that needs 5 s to stop ends itself with exit code 1; it measures that time itself."""
        codes = self.towline.stop()
        self.geth.stop()
        self.proxy.stop()
        bad = {name: code for name, code in codes.items() if code != 0}
        assert not bad, f"exit codes at the stop: {bad}\n{self.towline.tails()}"


class Timeline(threading.Thread):
    """Samples the labels of both sides until it is stopped: [(seconds, local labels, source labels)]."""

    def __init__(self, tow, every=0.25):
        super().__init__(daemon=True)
        self.tow, self.every, self.samples, self.failures = tow, every, [], []
        self._stop_now = threading.Event()
        self.start()

    def run(self):
        began = time.monotonic()
        while not self._stop_now.is_set():
            try:
                remote = {t: self.tow.source.ref(t) for t in ("latest", "safe", "finalized")}
                self.samples.append((time.monotonic() - began, self.tow.geth.labels(), remote))
            except Exception as e:  # noqa: BLE001 counted, and checked by the test
                self.failures.append(str(e))
            time.sleep(self.every)

    def stop(self):
        self._stop_now.set()
        self.join(10)
        return self.samples
