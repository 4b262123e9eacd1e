#!/usr/bin/env python3
"""Three remote-fetchers against one, each with a source that gives 30 blocks a second, and a client that answers at once.

    tools/bench/replicas.py

Both are measured in turn on the devnet, over the same blocks. The sources are the limit; a busy machine makes both slower. Needs `make build`.
"""
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integration")]
from stack import Process, Stack, free_port  # noqa: E402

CAP, FIRST, BLOCKS = 30, 100, 1900


def rate(directory, count):
    """Blocks a second between two heights, and the blocks that each replica served."""
    s = Stack(directory, blocks=FIRST + BLOCKS + 100, block_time=0, sources=count)
    try:
        port = free_port()
        addresses = [f"127.0.0.{n + 1}:{port}" for n in range(count)]
        for n, address in enumerate(addresses):
            s.ctl("fault", node=n, blocks_per_s=CAP)
            own = Path(directory) / f"fetcher{n}"
            own.mkdir()
            flags = [f for f in s.flags("remote-fetcher", [s.endpoints["sources"][n]]) if not f.startswith(("--grpc.addr", "--http.addr", "--evidence"))]
            s.processes[f"fetcher{n}"] = Process("remote-fetcher", [*flags, f"--grpc.addr={address}", "--http.addr=127.0.0.1:0", "--max-in-flight=4", "--max-batch=4"], own).start()
        for name in ("engine-driver", "sync-coordinator"):
            flags = [f"--remote-fetcher=ipv4:{','.join(addresses)}" if f.startswith("--remote-fetcher") else f for f in s.flags(name)]
            s.processes[name] = Process(name, flags, directory).start()

        def height(at_least):
            s.wait(f"block {at_least}", lambda: s.stats()["el"]["head"]["number"] >= at_least)
            return s.stats()["el"]["head"]["number"], time.monotonic()

        (h0, t0), (h1, t1) = height(FIRST), height(FIRST + BLOCKS)
        bodies = [s.stats()["nodes"][f"source{n}"]["bodies"] for n in range(count)]
        return (h1 - h0) / (t1 - t0), bodies
    finally:
        s.close()


def measure():
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as three:
        (alone, _), (together, bodies) = rate(one, 1), rate(three, 3)
    return {"one": alone, "three": together, "ratio": together / alone, "bodies": bodies}


if __name__ == "__main__":
    figures = measure()
    print(f"one fetcher {figures['one']:.1f} blocks/s, three {figures['three']:.1f}: {figures['ratio']:.2f} times; bodies of each source {figures['bodies']}")
