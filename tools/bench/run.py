#!/usr/bin/env python3
"""make bench: Towline beside the same execution client fed from memory, and beside serial following.

    run.py [--json FILE]

One chain of 2,000 blocks with 35 transactions each, one op-geth pinned to one core, a replay server as the source (JSON blocks, no raw methods, as most
public endpoints have it), everything else on the other cores. Prints a table and writes JSON; every ratio is from this one run.
"""
import argparse
import http.client
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/interop"), str(HERE)]
os.environ.setdefault("TEST_LOG", "info")
import chain as bench_chain  # noqa: E402
import compose  # noqa: E402
import hedging  # noqa: E402
import labels  # noqa: E402
import replicas  # noqa: E402
import serial  # noqa: E402
from replay import CHAIN, Replay  # noqa: E402
from harness.nodes import Geth  # noqa: E402
from harness.payload import ZERO, EngineApi, read_rollup  # noqa: E402
from harness.rpc import Rpc, jwt, read_secret  # noqa: E402
from harness.towline import Towline  # noqa: E402

EL_CORE = 1
WORK = ROOT / "build/bench/run"
BLOCKS = bench_chain.BLOCKS
SERIAL_BLOCKS = 400  # serial following at 50 ms takes minutes for the whole chain; its rate is steady


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch(threading.Thread):
    """Samples the client's height. The rate is between the first and the last imported blocks that are seen."""

    def __init__(self, rpc, last, towline=None):
        super().__init__(daemon=True)
        self.rpc, self.last, self.services = rpc, last, towline.services if towline else []
        self.began, self.samples, self.peak_mib = time.monotonic(), [], 0.0
        self.start()

    def run(self):
        while not self.samples or self.samples[-1][1] < self.last:
            height = self.rpc.height()
            if height > 0:
                self.samples.append((time.monotonic(), height))
            self.peak_mib = max(self.peak_mib, sum(s.rss_mib() for s in self.services))
            time.sleep(0.02)

    def finish(self, seconds):
        self.join(seconds)
        if self.is_alive():
            raise SystemExit(f"stuck at height {self.samples[-1][1] if self.samples else 0} of {self.last}; logs in {WORK}")
        (t0, h0), (t1, h1) = self.samples[0], self.samples[-1]
        return {"blocks_per_s": (h1 - h0) / (t1 - t0) if t1 > t0 else self.last / (t1 - self.began), "seconds_from_start": t1 - self.began}


class PinnedGeth:
    """A fresh op-geth on its own core for one measurement."""

    def __init__(self, name):
        self.geth = Geth(name, WORK / name, CHAIN / "genesis.json", taskset=EL_CORE)

    def __enter__(self):
        return self.geth.start()

    def __exit__(self, *_):
        self.geth.stop()
        shutil.rmtree(self.geth.data)


def from_memory(every, bodies):
    """(a): ready bodies without a pause, one forkchoice update every `every` blocks."""
    with PinnedGeth(f"memory-{every}") as geth:
        secret = read_secret(geth.jwt_file)
        connection = http.client.HTTPConnection("127.0.0.1", geth.engine_port, timeout=60)

        def post(body):
            connection.request("POST", "/", body, {"content-type": "application/json", "authorization": "Bearer " + jwt(secret)})
            answer = connection.getresponse().read()
            assert b'"VALID"' in answer, answer[:300]

        watch, cpu = Watch(geth.el, len(bodies)), cpu_seconds(geth.proc.pid)
        for i, (body, block_hash) in enumerate(bodies, 1):
            post(body)
            if i % every == 0 or i == len(bodies):
                post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "engine_forkchoiceUpdatedV3",
                                 "params": [{"headBlockHash": block_hash, "safeBlockHash": ZERO, "finalizedBlockHash": ZERO}, None]}))
        return {**watch.finish(60), "el_cpu_s": cpu_seconds(geth.proc.pid) - cpu}


def tow(name, source, engine_url, rpc, jwt_file, el_pid):
    """(b): Towline from a replay source into a client."""
    towline = Towline(WORK / f"towline-{name}", CHAIN / "rollup.json", [source.url], engine_url, jwt_file)
    cpu = cpu_seconds(el_pid)
    towline.start()
    watch = Watch(rpc, BLOCKS, towline)
    result = watch.finish(900)
    result["towline_cpu_s"] = {s.proc.name: s.cpu_seconds() for s in towline.services}
    result["el_cpu_s"] = cpu_seconds(el_pid) - cpu
    result["rss_mib_catch_up"] = watch.peak_mib
    time.sleep(3)
    result["rss_mib_tip"] = {s.proc.name: s.rss_mib() for s in towline.services}
    towline.stop()
    return result


def tow_geth(name, delay_ms, raw=False):
    source = Replay(WORK, f"source-{name}", "source", delay_ms, int(raw))
    with PinnedGeth(name) as geth:
        result = tow(name, source, geth.engine_url, geth.el, geth.jwt_file, geth.proc.pid)
    source.stop()
    return result


def tow_instant_client(raw):
    """Towline against a client that answers at once: the limit of Towline itself."""
    name = "instant-raw" if raw else "instant-json"
    source, engine, secret = Replay(WORK, f"source-{name}", "source", 0, int(raw)), Replay(WORK, f"engine-{name}", "engine"), WORK / f"{name}-jwt.hex"
    secret.write_text("11" * 32)
    result = tow(name, source, engine.url, engine.rpc, secret, engine.proc.pid)
    source.stop()
    engine.stop()
    return result


def serial_following(delay_ms):
    """(c): header, body, newPayload, forkchoice update, block after block."""
    source = Replay(WORK, f"source-serial-{delay_ms}", "source", delay_ms, 1)
    with PinnedGeth(f"serial-{delay_ms}") as geth:
        watch = Watch(geth.el, SERIAL_BLOCKS)
        serial.follow(Rpc(source.url), EngineApi(geth.engine, read_rollup(CHAIN / "rollup.json")), SERIAL_BLOCKS)
        result = watch.finish(60)
    source.stop()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", default=str(ROOT / "build/bench/result.json"), help="where the figures go")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or EL_CORE not in cores:
        raise SystemExit("the bench needs two cores: one for the execution client, one for all else")
    os.sched_setaffinity(0, set(cores) - {EL_CORE})  # also for the processes started from here; op-geth is moved to its own core
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    bench_chain.build(CHAIN)
    bodies = bench_chain.engine_bodies(CHAIN)
    megabytes = sum(len(body) for body, _ in bodies) / 1e6 / len(bodies)

    figures = {}

    def measure(name, what, run):
        print(f"measuring: {what}", file=sys.stderr, flush=True)
        figures[name] = {"what": what, **run()}

    for every in (1, 32, 64):
        measure(f"memory_{every}", f"(a) op-geth fed from memory, forkchoice update each {every}", lambda: from_memory(every, bodies))
    for delay in (0, 50, 200):
        measure(f"towline_{delay}", f"(b) Towline, source at {delay} ms", lambda: tow_geth(f"towline-{delay}", delay))
    measure("towline_raw_50", "(b) Towline, source at 50 ms with raw blocks", lambda: tow_geth("towline-raw-50", 50, True))
    for delay in (0, 50):
        measure(f"serial_{delay}", f"(c) serial following, source at {delay} ms", lambda: serial_following(delay))
    measure("instant_json", "Towline, client that answers at once", lambda: tow_instant_client(False))
    measure("instant_raw", "Towline, client that answers at once, raw blocks", lambda: tow_instant_client(True))

    print("measuring: three remote-fetchers and one", file=sys.stderr, flush=True)
    scaling = replicas.measure()
    os.sched_setaffinity(0, set(cores))  # no client is measured from here on
    print("measuring: one slow source in three", file=sys.stderr, flush=True)
    slow = hedging.measure()
    print("measuring: label delay", file=sys.stderr, flush=True)
    delay = labels.measure()
    print("measuring: containers", file=sys.stderr, flush=True)
    containers = compose.measure()

    best = max(figures[f"memory_{n}"]["blocks_per_s"] for n in (1, 32, 64))
    rate = lambda name: figures[name]["blocks_per_s"]  # noqa: E731
    mean_towline_cpu = {d: sum(figures[f"towline_{d}"]["towline_cpu_s"].values()) / figures[f"towline_{d}"]["el_cpu_s"] for d in (0, 50, 200)}
    tip = {d: sum(figures[f"towline_{d}"]["rss_mib_tip"].values()) for d in (0, 50, 200)}
    goals = [
        *((f"(b)/(a) at {d} ms", rate(f"towline_{d}") / best, ">=", 0.95) for d in (0, 50, 200)),
        ("(b)/(c) at 50 ms", rate("towline_50") / rate("serial_50"), ">=", 10),
        ("instant client, times op-geth's rate", rate("instant_json") / best, ">=", 20),
        ("instant client, raw blocks, times op-geth's rate", rate("instant_raw") / best, ">=", 20),
        ("three fetchers, times one (tools/bench/replicas.py)", scaling["ratio"], ">=", 2.7),
        ("resident MiB of the three services at the tip", max(tip.values()), "<", 150),
        ("resident MiB in catch-up", max(figures[f"towline_{d}"]["rss_mib_catch_up"] for d in (0, 50, 200)), "<", 400),
        *hedging.goals(slow), *labels.goals(delay), *compose.goals(containers),
    ]
    for f in figures.values():
        f["mb_per_s"] = f["blocks_per_s"] * megabytes
    Path(options.json).write_text(json.dumps({"blocks": BLOCKS, "mb_per_block": megabytes, "figures": figures,
                                              "towline_cpu_per_el_cpu": mean_towline_cpu, "replicas": scaling, "hedging": slow, "labels": delay, "containers": containers,
                                              "goals": [{"goal": g, "value": v, "relation": r, "wanted": w} for g, v, r, w in goals]}, indent=1))
    print(f"\n{BLOCKS} blocks of {bench_chain.TRANSACTIONS} transactions, {1000 * megabytes:.1f} kB of Engine API JSON each\n")
    def row(what, *cells):
        print(f"{what:58}" + "".join(f"{'' if c is None else c if isinstance(c, str) else format(c, '.1f'):>10}" for c in cells))

    row("", "blocks/s", "MB/s", "peak MiB", "CPU s", "EL CPU s")
    for f in figures.values():
        cpu = sum(f["towline_cpu_s"].values()) if "towline_cpu_s" in f else None
        row(f["what"], f["blocks_per_s"], f["mb_per_s"], f.get("rss_mib_catch_up"), cpu, f.get("el_cpu_s"))
    for table, of in ((hedging.table, slow), (labels.table, delay), (compose.table, containers)):
        print()
        table(of)
    print()
    for goal, value, relation, wanted in goals:
        met = {">=": value >= wanted, "<=": value <= wanted, "<": value < wanted}[relation]
        print(f"{goal:76} {value:9.2f}   goal {relation} {wanted}{'' if met else '   NOT MET'}")
    print("CPU of Towline per CPU of op-geth: " + ", ".join(f"{r:.2f} at {d} ms" for d, r in mean_towline_cpu.items()))
    print(f"\nJSON: {options.json}")


if __name__ == "__main__":
    main()
