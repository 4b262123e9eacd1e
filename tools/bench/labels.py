#!/usr/bin/env python3
"""Label delay: from the moment when the source's own safe or finalized label moves to the moment when the local client's label reads so.

    tools/bench/labels.py [--rounds N] [--moves N]

A real chain (blocks of 2 s, op-geth and op-node as the sequencer) and three followers of it at the same time, each with an op-geth of its own: Towline with
its default poll of the source's EL, Towline with the same EL over WebSocket (it tells of new heads), and op-node's Light CL, which follows the source's CL.
Labels are read each 20 ms, at the source and at each follower alike; each move of the source is one delay at each follower. All that look at the source in a
rhythm of their own are started again between the rounds.
"""
import argparse
import os
import random
import shutil
import statistics
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/interop")]
os.environ.setdefault("TEST_LOG", "info")
from harness.devnet import Devnet  # noqa: E402
from harness.nodes import Geth  # noqa: E402
from harness.procs import free_port, wait_for  # noqa: E402
from harness.rpc import Rpc, RpcError  # noqa: E402
from harness.towline import Towline  # noqa: E402

WORK = ROOT / "build/bench/labels"
EVERY_S, POLL_S = 0.02, 1.0
# From a look at the source to the label of the client, with all processes on loopback: the look, a new block with it, an update, and both looks at labels.
ROUND_TRIP_S = 0.15
POLL, PUSH = "Towline, polling each second", "Towline, told of new heads (ws)"
PUSHED, LIGHT = "  the same, from the first head after the move", "op-node's Light CL"
LABELS = ("safe", "finalized")


class Watch(threading.Thread):
    """When a client's labels, and its head, were first seen at each height."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.rpc, self.moves, self.over = Rpc(url), {label: [] for label in (*LABELS, "latest")}, threading.Event()
        self.start()

    def run(self):
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + EVERY_S, time.monotonic())
            for label, moves in self.moves.items():
                try:
                    block = self.rpc.block(label)
                except (OSError, RpcError):
                    continue
                number = int(block["number"], 16) if block else 0
                if not moves or number > moves[-1][1]:
                    moves.append((time.monotonic(), number))

    def reached(self, label, number):
        return next((t for t, n in list(self.moves[label]) if n >= number), None)

    def between(self, label, since, until):
        return [(t, n) for t, n in list(self.moves[label]) if since < t <= until]


class Followers:
    def __init__(self, net):
        self.net, self.geths, self.towlines = net, {}, []
        for name, key, url in ((POLL, "poll", net.el_url), (PUSH, "push", net.geth.ws_url)):
            geth = self.geths[name] = Geth(f"{key}-geth", WORK / key, net.genesis).start()
            self.towlines.append(Towline(WORK / key / "services", net.rollup, [url], geth.engine_url, geth.jwt_file, poll=f"{POLL_S:.0f}s").start())
        geth = self.geths[LIGHT] = Geth("light-geth", WORK / "light", net.genesis, maxpeers=2).start()
        geth.add_peer(net.geth)
        self.light = net.op_node("light", geth.engine_url, geth.jwt_file, free_port(), f"--p2p.static={net.p2p_address()}",
                                 f"--l2.follow.source={net.cl_url}").start()

    def restart(self):
        """They look at the source in another rhythm from now on: else each move would meet the same moment of it."""
        self.light.stop()
        for t in self.towlines:
            t.fetcher.proc.stop()
        for t in self.towlines:
            time.sleep(random.random())
            t.fetcher.start()
        time.sleep(4 * random.random())
        self.light.start()

    def stop(self):
        self.light.stop()
        for x in (*self.towlines, *self.geths.values()):
            x.stop()


def one_round(source, watches, moves):
    """{follower: {label: [seconds]}} of so many moves of each label. PUSHED counts from the first head after the move: that is when the source tells."""
    wait_for("labels that follow", lambda: all(w.rpc.height(label) >= max(1, source.rpc.height(label) - 1) for w in watches.values() for label in LABELS))
    since = time.monotonic()
    wait_for("moves of the source", lambda: min(len(source.between(label, since, time.monotonic())) for label in LABELS) >= moves)
    until = time.monotonic()
    seen = {label: source.between(label, since, until) for label in LABELS}
    wait_for("moves of all", lambda: all(w.reached(label, n) for w in watches.values() for label in LABELS for _, n in seen[label]))
    out = {name: {label: [w.reached(label, n) - t for t, n in seen[label]] for label in LABELS} for name, w in watches.items()}
    out[PUSHED] = {label: [] for label in LABELS}
    for label in LABELS:
        for t, n in seen[label]:
            told, there = next((h for h, _ in source.moves["latest"] if h > t - EVERY_S), None), watches[PUSH].reached(label, n)
            # A look of the poll may have come before.
            if told and there > told:
                out[PUSHED][label].append(there - told)
    return out


def measure(rounds=4, moves=5):
    """{follower: {label: {"moves", "p50", "max"}}}"""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    net, followers, watches = Devnet(WORK / "chain", block_time=2), None, []
    random.seed(1)
    try:
        net.start(wait=False)
        followers = Followers(net)
        net.wait_for_tip()
        source = Watch(net.el_url)
        of = {name: Watch(g.url) for name, g in followers.geths.items()}
        watches, seen = [source, *of.values()], []
        for r in range(rounds):
            if r:
                followers.restart()
            seen.append(one_round(source, of, moves))
        out = {}
        for name in (POLL, PUSH, PUSHED, LIGHT):
            for label in LABELS:
                d = [x for s in seen for x in s[name][label]]
                out.setdefault(name, {})[label] = {"moves": len(d), "p50": statistics.median(d) if d else 0.0, "max": max(d, default=0.0), "all": d}
        return out
    finally:
        for w in watches:
            w.over.set()
        if followers:
            followers.stop()
        net.stop()


def table(figures):
    print(f"{'label of the source to that of the local client':58}" + "".join(f"{h:>10}" for h in ("safe p50", "max s", "final p50", "max s", "moves")))
    for name, f in figures.items():
        print(f"{name:58}" + "".join(f"{f[label][k]:10.2f}" for label in LABELS for k in ("p50", "max")) + f"{f['safe']['moves'] + f['finalized']['moves']:10}")


def goals(figures):
    for label in LABELS:
        yield f"{label} label, s: at most a poll interval and a round trip", figures[POLL][label]["max"], "<=", POLL_S + ROUND_TRIP_S
        yield f"{label} label, s after a head that is told of (ws)", figures[PUSHED][label]["p50"], "<=", ROUND_TRIP_S


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--moves", type=int, default=5, help="of each label, in a round")
    options = parser.parse_args()
    table(measure(options.rounds, options.moves))
