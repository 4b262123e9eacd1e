"""A single source made a branch of its own final: `towline recover --force` lowers it when two others contradict it."""
import json
import time
from types import SimpleNamespace

from harness.nodes import Geth, l2_genesis, rollup_config
from harness.payload import Builder, EngineApi, fetch_blocks, first_l1_info, read_rollup
from harness.procs import free_port, wait_for
from harness.source_proxy import SourceProxy
from harness.tow import Tow

HONEST, FORK, FORGED = 120, 40, 70  # blocks of the chain, those that the branch shares with it, and those of its own


def two_chains(directory):
    """(files, the honest op-geth, the lying op-geth), without an L1: blocks are built with payload attributes."""
    directory.mkdir(parents=True)
    began = int(time.time()) - 10 * HONEST
    net = SimpleNamespace(genesis=directory / "genesis.json", rollup=directory / "rollup.json")
    net.genesis.write_text(json.dumps(l2_genesis(began)))
    honest, lying = (Geth(name, directory, net.genesis).start() for name in ("honest-geth", "lying-geth"))
    net.rollup.write_text(json.dumps(rollup_config("0x" + "11" * 32, honest.el.block(0)["hash"], began, 1)))
    rollup = read_rollup(net.rollup)
    builder = Builder(honest, rollup)
    builder.build([], info=first_l1_info())
    for _ in range(HONEST - 1):
        builder.build([])
    builder.label(HONEST - 5, HONEST - 10)
    EngineApi(lying.engine, rollup).feed(fetch_blocks(honest.el, 1, FORK))
    builder = Builder(lying, rollup)
    builder.branch(FORGED)
    builder.label(FORK + FORGED - 5, FORK + FORGED - 10)
    return net, honest, lying


def test_op_geth_is_brought_back_below_what_it_froze(work):
    """op-geth moves final blocks to its ancient store, and shows them at their heights whatever branch its head is on: only debug_setHead removes
    them."""
    net, honest, lying = two_chains(work / "recover")
    second = SourceProxy(honest.url, free_port())
    tow = Tow(work / "recover/tow", net, honest.el, [f"{lying.url},group=lying"], admin=True).start()
    try:
        wait_for("a forged block that is final", lambda: tow.el.ref("finalized") == lying.el.ref("finalized"), 0.5, tow.towline.procs())
        number, forged = tow.el.ref("finalized")
        assert number > FORK and honest.el.block(number)["hash"] != forged, "no forged block is final: the test shows nothing"
        wait_for("it to be frozen", lambda: tow.el.call("debug_dbAncients") > number, 1)
        fetcher = tow.towline.fetcher.proc
        fetcher.kill()
        fetcher.argv += [f"--endpoint={honest.url},group=a", f"--endpoint={second.url},group=b"]
        tow.towline.fetcher.start()
        wait_for("DIVERGED", lambda: tow.towline.state() == "DIVERGED", 0.5, tow.towline.procs())
        found = tow.towline.cli("recover", "--force", "--reason", "two others say so")["tows"][0]["finality"]
        print(json.dumps(found, indent=1), "\nafter it:", tow.geth.labels())
        assert found["outcome"] == "OUTCOME_DONE" and found["to"]["number"] == FORK and found["was"]["hash"] == forged, found
        tow.wait_tip()
        assert not tow.differing_heights(), "what was frozen is shown no more"
        state = json.loads((tow.towline.dir / "data" / "state.json").read_text())["confirmed_finalized"]
        assert honest.el.block(state["number"])["hash"] == state["hash"], "the confirmed finalized block is an honest block again"
        # The state on disk says so, too.
        tow.towline.driver.proc.stop()
        tow.geth.stop()
        tow.geth.start()
        assert tow.el.height() >= FORK and not tow.differing_heights()
    finally:
        tow.stop()
        second.stop()
        for geth in (honest, lying):
            geth.stop()
