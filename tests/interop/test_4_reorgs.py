"""Reorgs of a real L1, and a branch that op-geth cannot take by itself."""
import time

import pytest
from harness.nodes import SIGNER, Geth
from harness.payload import Builder, EngineApi, read_rollup
from harness.procs import wait_for
from harness.tow import Timeline


def said(decision):
    return (decision.get("action", "") + " " + decision.get("reason", "")).lower()


def test_l1_reorg_of_depth_6(make_tow, net, half_way):
    """4. op-node's safe goes back and comes again over the same blocks: the head is never lowered, safe is held, and the reason is on record."""
    tow = make_tow([net.cl_url, net.el_url], copy_of=half_way).start()
    tow.wait_tip()
    timeline = Timeline(tow, 0.1)
    peak = net.el.height("safe")
    net.l1.call("anvil_reorg", 6, [])
    wait_for("the source's safe head going back", lambda: min(s[2]["safe"][0] for s in timeline.samples[-50:]) < peak)
    wait_for("safe to move on", lambda: tow.el.height("safe") > peak + 3)
    samples = timeline.stop()
    remote = [s[2]["safe"][0] for s in samples]
    local = {label: [s[1][label][0] for s in samples] for label in ("latest", "safe", "finalized")}
    assert any(later < earlier for earlier, later in zip(remote, remote[1:])), "the source's safe never went back: the test shows nothing"
    for label, heights in local.items():
        assert heights == sorted(heights), f"{label} was lowered: {heights}"
    tow.check()
    assert any("hold" in said(d) and "safe" in said(d) for d in tow.towline.decisions()), [said(d) for d in tow.towline.decisions()]


def test_deep_l1_reorg(make_tow, deep_reorg_chain):
    """4. The L2 chain itself changes, below its safe head: after that the hashes match at every height. A second client
    gets the sequencer's unsafe blocks over the p2p network meanwhile, and ends at the same place."""
    chain = deep_reorg_chain.get()
    wait_for("L1 height 53", lambda: int(chain.l1.call("eth_blockNumber"), 16) >= 53, 0.2)
    common = {"source": chain.el, "genesis": chain.genesis, "rollup": chain.rollup}
    tow = make_tow([chain.cl_url, chain.el_url], **common).start()
    by_gossip = make_tow([chain.cl_url, chain.el_url], name="by-gossip", **common,
                         p2p=[f"--p2p.unsafe-block-signer={SIGNER}", f"--p2p.static={chain.p2p_address()}"]).start()
    for t in (tow, by_gossip):
        t.wait_tip(labels=False)
        wait_for("a safe head", lambda t=t: (t.el.ref("safe") or (0,))[0] > 0)
    before, safe_before = tow.el.ref("latest"), tow.el.ref("safe")
    for t in (tow, by_gossip):
        t.trace.mark("switch")
    chain.l1.call("anvil_reorg", 30, [])
    wait_for("the source to change its branch", lambda: (chain.el.ref(before[0]) or before) != before or chain.el.height() < before[0] - 2, 0.1)
    started = time.monotonic()
    chain.restart_batcher()

    for t in (tow, by_gossip):
        wait_for("equal hashes at every height", lambda t=t: t.at_tip(2) and not t.differing_heights(), 0.5)
    print(f"head {before[0]} (safe {safe_before[0]}) on the old branch; equal again after {time.monotonic() - started:.1f} s at {tow.el.height()}")
    assert tow.el.ref(before[0]) != before or tow.el.height() < before[0], "the branch did not change: the test shows nothing"
    for t in (tow, by_gossip):
        wait_for("safe to follow on the new branch", lambda t=t: t.labels_follow(20), 0.5)
        t.check()
    assert any("p2p network brought" in d["reason"] for d in by_gossip.towline.decisions())


@pytest.fixture(scope="module")
def branch(work, net, prefix):
    """An op-geth on a branch that leaves the main chain at block 100 and is 310 blocks long."""
    geth = Geth("branch-geth", work / "branch", net.genesis).start()
    rollup = read_rollup(net.rollup)
    EngineApi(geth.engine, rollup).feed(prefix[:100])
    builder = Builder(geth, rollup)
    builder.branch(210)
    builder.label(120, 50)
    yield geth
    geth.stop()


def on_the_main_chain(tow, net, prefix):
    """Brings the client to block 300 of the main chain, safe 60, finalized 50."""
    api = EngineApi(tow.geth.engine, read_rollup(net.rollup))
    api.feed(prefix[:300])
    api.forkchoice(*(prefix[n - 1][0]["hash"] for n in (300, 60, 50)))
    tow.had = {h: n for n, h in tow.el.hashes(0, 300).items()}
    tow.trace.mark("switch")


def test_branch_200_below_with_an_admin_rpc(make_tow, net, prefix, branch):
    """op-geth does not have the state 200 blocks below its head: the driver rewinds it with debug_setHead, then imports the branch."""
    tow = make_tow([branch.url], source=branch.el, admin=True, driver_flags=["--engine.admin-rpc-trust=single-source"])
    on_the_main_chain(tow, net, prefix)
    tow.start()
    tow.wait_tip()
    assert tow.el.ref("latest") == branch.el.ref("latest")
    tow.check()
    assert any("rewind" in said(d) for d in tow.towline.decisions()), [said(d) for d in tow.towline.decisions()]


def test_branch_200_below_needs_an_operator_without(make_tow, net, prefix, branch):
    """Without one it says NEEDS_OPERATOR and names the command; when the operator has done it, it goes on by itself."""
    tow = make_tow([branch.url], source=branch.el)
    on_the_main_chain(tow, net, prefix)
    tow.start()
    wait_for("NEEDS_OPERATOR", lambda: tow.towline.state() == "NEEDS_OPERATOR", 0.5, tow.towline.procs())
    for _ in range(20):  # retried all the time, but the state stays
        state = tow.towline.tow()
        assert state["state"] == "TOW_STATE_NEEDS_OPERATOR" and "debug_setHead" in state["reason"], state
        time.sleep(0.1)
    assert tow.el.ref("latest")[0] == 300 and tow.el.ref("finalized")[0] == 50
    assert not tow.towline.coordinator.ready()
    tow.el.call("debug_setHead", hex(100))
    tow.wait_tip()
    tow.check()
