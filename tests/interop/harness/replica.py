"""A second op-geth that copies the chain of a first one; a test may change what it does."""
import threading
import time

from .payload import ZERO, Builder, EngineApi, fetch_blocks, read_rollup


def number(block):
    return int(block["number"], 16)


class Replica(threading.Thread):
    """Makes an op-geth follow `source` (an Rpc) block by block, with its labels and reorgs. `act` is the action that it repeats. Its end stops the op-geth."""

    def __init__(self, geth, source, rollup):
        super().__init__(daemon=True)
        self.geth, self.el, self.url, self.source = geth, geth.el, geth.url, source
        self.rollup = read_rollup(rollup)
        self.api, self.builder = EngineApi(geth.engine, self.rollup), Builder(geth, self.rollup)
        self.act, self.last_problem, self._declared, self._over = self.follow, None, None, threading.Event()

    def run(self):
        while not self._over.wait(self.rollup["block_time"] / 5):
            try:
                self.act()
            except Exception as e:  # noqa: BLE001 the source has just changed its branch: try again
                self.last_problem = e

    # Actions.

    def follow(self):
        self._declare(self._take_blocks(), *(self.source.block(label) for label in ("safe", "finalized")))

    def follow_and_call_the_head_final(self):
        head = self._take_blocks()
        self._declare(head, head, head)

    def build_a_branch(self):
        """Builds valid blocks that no other node has, at the block times of the chain; each is safe and final at once."""
        while int(self.el.block("latest")["timestamp"], 16) + self.rollup["block_time"] <= time.time() and not self._over.is_set():
            self.builder.build([], randao="0x" + "66" * 32)
        head = self.el.block("latest")
        self._declare(head, head, head)

    def stand_still(self):
        pass

    def _take_blocks(self):
        """Copies at most 200 blocks; returns the head."""
        fork = self.el.height()
        while self.source.ref(fork) != self.el.ref(fork):
            fork -= 1
        self.api.feed(fetch_blocks(self.source, fork + 1, min(self.source.height(), fork + 200)))
        return self.el.block("latest")

    def _declare(self, head, safe, finalized):
        """Sets labels; None: not set. A label of a block that is not here yet waits."""
        labels = [head["hash"], *(b["hash"] if b else ZERO for b in (safe, finalized))]
        if labels != self._declared and all(number(b) <= number(head) for b in (safe, finalized) if b):
            self.api.forkchoice(*labels)
            self._declared = labels

    def stop(self):
        self._over.set()
        self.join(60)
        self.geth.stop()
