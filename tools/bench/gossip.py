#!/usr/bin/env python3
"""Gossip to the execution client: Towline and op-node in one run.

    gossip.py [--blocks N] [--json FILE]

A real sequencer (op-node, op-geth) gossips blocks of 10 KiB, 100 KiB and 1 MiB of random calldata, one a second. A follower with its own op-geth takes
them: first op-node, then Towline. The follower and its client have one core. The sequencer has the other one, with the relays through which all bytes of
the follower's p2p connection and of its Engine API pass. The latency of a block runs from the last byte of its message to the last byte of
engine_newPayload. The chain has Regolith rules, because Jovian's DA footprint keeps incompressible blocks small. At the end the memory of p2p-gossip
with 100 go-libp2p peers is measured.
"""
import argparse
import json
import os
import secrets
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/interop")]
os.environ.setdefault("TEST_LOG", "info")
from eth_utils import to_checksum_address  # noqa: E402
from harness.devnet import Devnet  # noqa: E402
from harness.load import CHAIN_ID, sender  # noqa: E402
from harness.nodes import PEERS, SIGNER, Geth  # noqa: E402
from harness.procs import Proc, free_port, wait_for  # noqa: E402
from harness.rpc import Rpc  # noqa: E402
from harness.towline import Service, Towline, binary  # noqa: E402

WORK = ROOT / "build/bench/gossip"
SIZES = {"10 KiB": (1, 10_000), "100 KiB": (1, 100_000), "1 MiB": (10, 104_000)}  # transactions in a block, bytes of calldata in each
PAUSE = 0.02  # s without bytes between two messages


CORES = sorted(os.sched_getaffinity(0))
SEQUENCERS, FOLLOWERS = {CORES[0]}, set(CORES[1:])


def run_on(cores):
    """Sets the cores of this process and of the processes that it starts from now on."""
    os.sched_setaffinity(0, cores)


class Probe:
    """The relays of one follower (relay.cpp), and what they tell."""

    def __init__(self, directory, p2p_port, engine_port):
        run_on(SEQUENCERS)
        self.proc = Proc("relay", [binary("towline-bench-relay"), p2p_port, engine_port], directory).start()
        run_on(FOLLOWERS)
        self.p2p_port, self.engine_port = wait_for("the relays", lambda: self._told("ports"), 0.02, [self.proc])[0]

    def _told(self, what):
        """The numbers of each whole line that begins with the word."""
        lines = self.proc.log.read_text().split("\n")[:-1]
        return [[int(x) for x in line.split()[1:]] for line in lines if line.startswith(what + " ")]

    def latencies(self, size, since):
        """The latency in ms of each block since a time. A message is a burst of at least half the block's size."""
        arrivals, out = [(ns / 1e9, n) for ns, n in self._told("p2p")], []
        for t in [ns / 1e9 for ns, in self._told("payload") if ns / 1e9 >= since]:
            burst, total = None, 0
            for at, n in reversed([a for a in arrivals if t - 0.9 < a[0] <= t]):
                if burst is not None and last - at > PAUSE:
                    if total >= size / 2:
                        break
                    burst, total = None, 0
                if burst is None:
                    burst = at
                last, total = at, total + n
            if burst is not None and total >= size / 2:
                out.append((t - burst) * 1000)
        return out

    def stop(self):
        self.proc.kill()


class Load:
    """A number of transactions with random bytes for each block."""

    def __init__(self, el):
        self.el, self.accounts, self.nonces = el, [sender(i) for i in range(10)], [0] * 10

    def make(self, count, size):
        """The calls that send the transactions of one block."""
        calls = []
        for i in range(count):
            tx = {"type": 2, "nonce": self.nonces[i], "to": to_checksum_address("0x" + "11" * 20), "value": 0, "gas": 21_000 + 16 * size + 4000,
                  "chainId": CHAIN_ID, "data": "0x" + secrets.token_hex(size), "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 1}
            calls.append(("eth_sendRawTransaction", ["0x" + self.accounts[i].sign_transaction(tx).raw_transaction.hex().removeprefix("0x")]))
            self.nonces[i] += 1
        return calls

    def blocks(self, n, count, size):
        """Waits until `n` blocks of the size have come."""
        for _ in range(n):
            calls, height = self.make(count, size), self.el.height()
            self.el.batch(calls)
            wait_for("the next block", lambda: self.el.height() > height, 0.1)
            time.sleep(0.3)  # leaves this process to the relays while a block is on its way


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))] if values else float("nan")


def measure(name, probe, load, blocks):
    out = {}
    for label, (count, size) in SIZES.items():
        print(f"{name}: {blocks} blocks of {label}", file=sys.stderr, flush=True)
        load.blocks(3, count, size)
        since = time.monotonic()
        load.blocks(blocks, count, size)
        time.sleep(1)
        values = probe.latencies(count * size, since)
        out[label] = {"blocks": len(values), "p50": percentile(values, 50), "p99": percentile(values, 99), "max": max(values, default=float("nan"))}
    return out


def through(net, port):
    """The sequencer's multiaddr by way of a relay."""
    parts = net.p2p_address().split("/")
    parts[parts.index("tcp") + 1] = str(port)
    return "/".join(parts)


def sequencer_port(net):
    parts = net.p2p_address().split("/")
    return int(parts[parts.index("tcp") + 1])


def towline(net, load, blocks):
    run_on(FOLLOWERS)
    geth = Geth("towed-geth", WORK / "towline", net.genesis).start()
    probe = Probe(WORK / "towline", sequencer_port(net), geth.engine_port)
    flags = [f"--p2p.unsafe-block-signer={SIGNER}", "--p2p.no-discovery", f"--p2p.static={through(net, probe.p2p_port)}"]
    t = Towline(WORK / "towline/services", net.rollup, [net.el_url], f"http://127.0.0.1:{probe.engine_port}", geth.jwt_file, p2p=flags).start()
    try:
        wait_for("Towline at the tip", lambda: geth.el.height() >= net.el.height() - 1, procs=t.procs())
        run_on(SEQUENCERS)
        return measure("Towline", probe, load, blocks)
    finally:
        t.stop()
        geth.stop()
        probe.stop()


def op_node(net, load, blocks):
    run_on(FOLLOWERS)
    geth = Geth("verifier-geth", WORK / "op-node", net.genesis).start()
    probe = Probe(WORK / "op-node", sequencer_port(net), geth.engine_port)
    port = free_port()
    node = net.op_node("verifier", f"http://127.0.0.1:{probe.engine_port}", geth.jwt_file, port, f"--p2p.static={through(net, probe.p2p_port)}").start()
    try:
        # op-node derives the blocks that the batcher has posted, and requests the rest.
        wait_for("op-node at the tip", lambda: geth.el.height() >= net.el.height() - 1, procs=[node])
        net.batcher.stop()
        run_on(SEQUENCERS)  # the load
        return measure("op-node", probe, load, blocks)
    finally:
        node.stop()
        geth.stop()
        probe.stop()


def memory(net, load):
    """p2p-gossip with the sequencer and 100 go-libp2p nodes, while blocks of 100 KiB pass."""
    run_on(FOLLOWERS)
    directory = WORK / "memory"
    directory.mkdir()
    gossip = Service("p2p-gossip", directory, [f"--rollup-config={net.rollup}", f"--data-dir={directory / 'p2p'}", "--p2p.listen.ip=127.0.0.1",
                                               f"--p2p.listen.tcp={free_port()}", f"--p2p.unsafe-block-signer={SIGNER}", "--p2p.no-discovery",
                                               "--p2p.peers.lo=10", "--p2p.peers.hi=120", f"--p2p.static={net.p2p_address()}"]).start()
    address = next(line for line in gossip.proc.tail(1000).splitlines() if "gossiping" in line).split("address=")[1].split()[0]
    alone = gossip.rss_mib()
    peers = Proc("peers", [PEERS / "go-peers", "hold", 100, f"/optimism/{CHAIN_ID}/0/blocks", address], directory).start()
    count = lambda: sum(v for k, v in gossip.metrics().items() if k.startswith("towline_gossip_peers{"))  # noqa: E731
    try:
        wait_for("101 peers", lambda: count() == 101, 0.2, procs=[gossip.proc, peers])
        load.blocks(40, *SIZES["100 KiB"])
        assert count() == 101
        return {"alone_mib": alone, "with_100_peers_mib": gossip.rss_mib(),
                "blocks": gossip.metrics()['towline_gossip_blocks_total{rule="none"}']}
    finally:
        peers.kill()
        gossip.proc.stop(10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=30, help="blocks of each size")
    parser.add_argument("--json", default=str(ROOT / "build/bench/gossip.json"), help="where the figures go")
    options = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    net = Devnet(WORK / "chain", fork_every_s=10**6)
    if not FOLLOWERS:
        raise SystemExit("the bench needs two cores: one for the sequencer, one for the follower")
    run_on(SEQUENCERS)
    try:
        net.start()
        load = Load(net.el)
        figures = {"op-node": op_node(net, load, options.blocks), "Towline": towline(net, load, options.blocks), "memory": memory(net, load)}
    finally:
        net.stop()
    Path(options.json).write_text(json.dumps(figures, indent=1))
    print(f"\nlast byte of the message to last byte of engine_newPayload, ms\n\n{'':12}{'block':>10}{'blocks':>8}{'p50':>8}{'p99':>8}{'max':>8}")
    for name in ("op-node", "Towline"):
        for size, f in figures[name].items():
            print(f"{name:12}{size:>10}{f['blocks']:8}{f['p50']:8.1f}{f['p99']:8.1f}{f['max']:8.1f}")
    print(f"\np2p-gossip: {figures['memory']['alone_mib']:.0f} MiB alone, {figures['memory']['with_100_peers_mib']:.0f} MiB with 100 go-libp2p peers and blocks of "
          f"100 KiB (goal < 100)\nJSON: {options.json}")


if __name__ == "__main__":
    main()
