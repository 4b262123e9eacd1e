"""SIGKILL of everything, at seeded moments, during catch-up and at the tip.

KILL_MOMENTS: moments per target (default 10; half of them in catch-up, half at the tip).
"""
import os
import random
import time

import pytest
from conftest import SEED
from harness.procs import wait_for

MOMENTS = int(os.environ.get("KILL_MOMENTS") or 10)
TARGETS = ["remote-fetcher", "engine-driver", "sync-coordinator", "local-geth", "source"]


class Victim:
    """kill() and restart() of a target; restart() returns when its process runs again."""

    def __init__(self, target, tow, net):
        self.target, self.tow, self.net = target, tow, net

    def _service(self):
        return next(s for s in self.tow.towline.services if s.proc.name == self.target)

    def kill(self):
        if self.target == "local-geth":
            self.tow.kill_geth()
        elif self.target == "source":
            self.net.node.kill()
            self.net.geth.proc.kill()
        else:
            self._service().proc.kill()

    def restart(self):
        if self.target == "local-geth":
            return f"client back {self.tow.restart_geth()} blocks lower"
        if self.target == "source":
            # The source is also the sequencer: it builds the unsafe blocks that it lost anew, and the tow follows.
            self.tow.trace.mark("switch")
            self.net.geth.start()
            self.net.node.start()
            wait_for("the source's op-node", lambda: self.net.cl.call("optimism_syncStatus"), procs=self.net.procs())
            return f"source back at {self.net.el.height()}"
        self._service().start(wait=False)
        return ""


def kill_once(target, tow, net, randomness, lead):
    """One kill after up to `lead` seconds; returns one line with the event and the time of the recovery."""
    time.sleep(randomness.uniform(0.1, lead))
    victim = Victim(target, tow, net)
    height, down = tow.el.height(), randomness.uniform(0.1, 3)
    finalized = tow.el.ref("finalized")
    victim.kill()
    time.sleep(down)
    said = victim.restart()
    back, newer = time.monotonic(), net.el.height() + 1
    wait_for("a block that is newer than the restart", lambda: tow.el.height() >= newer, procs=tow.towline.procs())
    tow.wait_tip()
    seconds = time.monotonic() - back
    if finalized:
        assert tow.el.height("finalized") >= finalized[0], f"finalized went back from {finalized[0]}\n{tow.explain()}"
        assert tow.el.ref(finalized[0]) == finalized
    return f"{target} killed at {height}, down {down:.1f} s, tip after {seconds:.1f} s {said}"


def seeded(*what):
    return random.Random(f"{SEED}-{what}")


@pytest.mark.parametrize("moment", range(MOMENTS // 2 or 1))
@pytest.mark.parametrize("target", TARGETS)
def test_killed_in_catch_up(make_tow, net, half_way, target, moment):
    tow = make_tow([net.cl_url, net.el_url], copy_of=half_way).start()
    wait_for("the import", lambda: tow.el.height() > 1000)
    print(kill_once(target, tow, net, seeded("catch-up", target, moment), 4))
    tow.check()


def test_killed_at_the_tip(make_tow, net, half_way):
    """All targets in turn on one tow: a kill must leave nothing behind that breaks the next one."""
    tow = make_tow([net.cl_url, net.el_url], copy_of=half_way).start()
    tow.wait_tip()
    randomness = seeded("tip")
    order = [t for t in TARGETS for _ in range(MOMENTS - MOMENTS // 2)]
    randomness.shuffle(order)
    for target in order:
        print(kill_once(target, tow, net, randomness, 3))
    tow.check()
