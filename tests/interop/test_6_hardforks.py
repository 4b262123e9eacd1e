"""Hardforks: from Bedrock through every fork to Jovian, with the real upgrade transactions."""
import json

from harness.payload import read_rollup
from harness.nodes import FORKS
from harness.procs import wait_for


def check_methods(tow, rollup):
    """The right newPayload version on both sides of each activation."""
    times = {int(b["number"], 16): int(b["timestamp"], 16)
             for b in tow.source.batch([("eth_getBlockByNumber", [hex(n), False]) for n in range(tow.el.height() + 1)])}
    seen = {}
    for r in tow.trace.records("newPayload"):
        t = times.get(r["number"])
        if t is None:
            continue
        version = 4 if t >= rollup["isthmus_time"] else 3 if t >= rollup["ecotone_time"] else 2
        assert r["method"] == f"engine_newPayloadV{version}", r
        assert r["status"] == "VALID", r
        for fork in FORKS:
            if t >= rollup[fork + "_time"]:
                seen.setdefault(fork, r["number"])
    assert set(seen) == set(FORKS), seen
    return seen


def test_Hardforks_live(fork_chain):
    """The acceptance test of that name: a client that is at the tip when each fork activates."""
    net, tow = fork_chain.get()
    rollup = read_rollup(net.rollup)
    last = rollup["jovian_time"]
    wait_for("Jovian and ten blocks", lambda: int(tow.el.block("latest")["timestamp"], 16) > last + 10, 0.5, net.procs() + tow.towline.procs())
    tow.wait_tip(labels=False)
    print(json.dumps(check_methods(tow, rollup)))
    tow.check()
    numbers = [r["number"] for r in tow.trace.records("newPayload")]
    assert min(numbers) <= 14, f"the tow began at block {min(numbers)}, after the first activation"


def test_Hardforks_catch_up(make_tow, fork_chain):
    """The same in one go: a fresh client from Bedrock to Jovian."""
    net, _ = fork_chain.get()
    rollup = read_rollup(net.rollup)
    wait_for("Jovian", lambda: int(net.el.block("latest")["timestamp"], 16) > rollup["jovian_time"] + 5, 0.5, net.procs())
    tow = make_tow([net.cl_url, net.el_url], source=net.el, genesis=net.genesis, rollup=net.rollup).start()
    tow.wait_tip()
    check_methods(tow, rollup)
    tow.check()
