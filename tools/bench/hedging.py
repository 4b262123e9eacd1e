#!/usr/bin/env python3
"""One slow source in three: how long a block takes from remote-fetcher, and what the sources are asked for it.

    tools/bench/hedging.py [--rounds N]

Three replay servers answer after 20 ms. The first one, which is asked first where nothing else decides, gives none, a few, some or all of its answers 500 ms
later. A fresh remote-fetcher is asked for one block after the other, as an engine-driver at the tip asks for them (the proof of its header, then its body),
and then for the rest at once. All cases are measured in turn, in each round. Needs the chain of `make bench`, which it builds where it is not there.
"""
import argparse
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "tests/integration"), str(HERE)]
os.environ.setdefault("TEST_LOG", "info")
import chain as bench_chain  # noqa: E402
from harness.procs import wait_for  # noqa: E402
from harness.towline import Service  # noqa: E402
from http2 import Connection  # noqa: E402
from replay import CHAIN, Replay  # noqa: E402

WORK = ROOT / "build/bench/hedging"
DELAY_MS, SLOW_MS = 20, 500
CASES = {"three fast sources": 0, "one slow in 4 % of its answers": 4, "one slow in 20 % of its answers": 20, "one slow always": 100}
WARM_UP, ONE_BY_ONE, PAUSE_S = 30, 300, 0.02


def block_id(field, block):
    """towline.v1.BlockId as a field of a request."""
    number, raw = block[0], b"\x08"
    while number > 127:
        raw, number = raw + bytes([number & 127 | 128]), number >> 7
    raw += bytes([number]) + b"\x12\x20" + bytes.fromhex(block[1][2:])
    return bytes([field << 3 | 2, len(raw)]) + raw


def seconds(fetcher, parent, tip):
    """StreamPayloads, as an engine-driver calls it. The service ends a connection after half a minute: each call has its own."""
    connection = Connection(fetcher.grpc_port)
    connection.read_without_limit()
    began = time.monotonic()
    stream = connection.call("/towline.v1.PayloadSource/StreamPayloads", block_id(1, parent) + block_id(2, tip))
    got = connection.answer(stream)
    connection.close()
    assert len(got) == tip[0] - parent[0], f"{len(got)} payloads of {parent[0]} to {tip[0]}"
    return time.monotonic() - began


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))]


def one(name, sources, percent, blocks):
    for s in sources:
        s.rpc.call("bench_slow", SLOW_MS, percent if s is sources[0] else 0)
    fetcher = Service("remote-fetcher", WORK, [f"--rollup-config={CHAIN / 'rollup.json'}", *(f"--endpoint={s.url},group={i}" for i, s in enumerate(sources))], name=name).start()
    try:
        wait_for("three sources", lambda: sum(v for k, v in fetcher.metrics().items() if "endpoint_state" in k and '"ready"' in k) == 3, procs=[fetcher.proc])
        before, took = 0, []
        for n in range(1, WARM_UP + ONE_BY_ONE + 1):
            if n == WARM_UP + 1:
                before = sum(s.rpc.call("bench_asked") for s in sources)
            took.append(1000 * seconds(fetcher, blocks[n - 1], blocks[n]))
            time.sleep(PAUSE_S)
        asked = sum(s.rpc.call("bench_asked") for s in sources) - before
        rest = len(blocks) - 1 - WARM_UP - ONE_BY_ONE
        rate = rest / seconds(fetcher, blocks[WARM_UP + ONE_BY_ONE], blocks[-1])
        steady = took[WARM_UP:]
        hedged = sum(v for k, v in fetcher.metrics().items() if "hedged" in k)
        return {"p50": percentile(steady, 50), "p95": percentile(steady, 95), "p99": percentile(steady, 99), "first": max(took[:WARM_UP]),
                "requests": asked / (2 * ONE_BY_ONE), "hedged": hedged, "rate": rate}
    finally:
        fetcher.proc.stop()


def measure(rounds=3):
    """{case: {figure: the median of the rounds}}"""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    bench_chain.build(CHAIN)
    sources = [Replay(WORK, f"source-{i}", "source", DELAY_MS, 0) for i in range(3)]
    try:
        hashes = {}
        for first in range(0, bench_chain.BLOCKS + 1, 100):
            hashes |= sources[0].rpc.hashes(first, min(first + 99, bench_chain.BLOCKS))
        blocks = sorted(hashes.items())
        seen = {case: [] for case in CASES}
        for r in range(rounds):
            for case, percent in CASES.items():
                seen[case].append(one(f"fetcher-{r}-{percent}", sources, percent, blocks))
        return {case: {k: statistics.median(x[k] for x in all_of) for k in all_of[0]} for case, all_of in seen.items()}
    finally:
        for s in sources:
            s.stop()


def table(figures):
    print(f"{'a block from remote-fetcher, sources at 20 ms':46}" + "".join(f"{h:>10}" for h in ("p50 ms", "p95", "p99", "first 30", "requests", "blocks/s")))
    for case, f in figures.items():
        print(f"{case:46}" + "".join(f"{f[k]:10.1f}" for k in ("p50", "p95", "p99", "first")) + f"{f['requests']:9.2f}x{f['rate']:10.0f}")


def goals(figures):
    fast = figures["three fast sources"]
    for case, f in figures.items():
        if f is not fast:
            yield f"p99, times that of three fast sources: {case}", f["p99"] / fast["p99"], "<=", 1.2
            yield f"requests, times what is needed: {case}", f["requests"], "<=", 1.05


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    table(measure(parser.parse_args().rounds))
