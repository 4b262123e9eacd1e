"""Three trust groups with an op-geth each, of which one lies about its chain or its labels: the client follows the two honest ones. See docs/trust.md."""
from contextlib import contextmanager

import pytest
from harness.consensus_gateway import ConsensusGateway
from harness.nodes import Geth
from harness.payload import EngineApi, fetch_blocks, read_rollup
from harness.procs import wait_for
from harness.replica import Replica
from harness.tow import Timeline

BEHIND = 300  # blocks


@pytest.fixture(scope="module")
def recent(work, net, half_way):
    """The data directory of a client that is 300 blocks behind the main chain."""
    geth = Geth("recent", work / "lying/recent", net.genesis, copy_of=half_way).start()
    blocks = fetch_blocks(net.el, geth.el.height() + 1, net.el.height() - BEHIND)
    api = EngineApi(geth.engine, read_rollup(net.rollup))
    api.feed(blocks)
    api.forkchoice(*(blocks[n][0]["hash"] for n in (-1, -10, -20)))
    geth.stop()
    return geth.data


@contextmanager
def replica_of(chain, directory, copy_of=None):
    replica = Replica(Geth(directory.name, directory, chain.genesis, copy_of=copy_of).start(), chain.el, chain.rollup)
    replica.start()
    try:
        wait_for(f"{directory.name} at the tip", lambda: replica.el.height() >= chain.el.height() - 2)
        yield replica
    finally:
        replica.stop()


@pytest.fixture(scope="module")
def honest(work, net, recent):
    """The second honest source of the main chain."""
    with replica_of(net, work / "lying/honest", recent) as replica:
        yield replica


@pytest.fixture(scope="module")
def branch(work, net, recent):
    """A lying source that leaves the main chain where `recent` ends, and is as high."""
    lying = Replica(Geth("branch", work / "lying/branch", net.genesis, copy_of=recent).start(), net.el, net.rollup)
    lying.act = lying.build_a_branch
    lying.start()
    wait_for("a branch as high as the chain", lambda: lying.el.height("finalized") >= net.el.height())
    yield lying
    lying.stop()


def groups(*urls):
    """A trust group for each URL, the first is the best."""
    return [f"{url},group=g{i}" for i, url in enumerate(urls)]


def shown(tow, place):
    """The endpoint at this place of the list in `towline endpoints`."""
    return tow.towline.cli("endpoints", "--remote-fetcher", tow.towline.fetcher.grpc)["endpoints"][place]


def said_of(tow, place):
    """The reason code of the endpoint at this place; that it answers late says nothing of what it says."""
    code = shown(tow, place).get("reason_code", "")
    return "" if code == "source_slow" else code


def wait_shown(tow, place, *codes):
    wait_for(f"{codes} at place {place} of `towline endpoints`", lambda: said_of(tow, place) in codes, 0.5)


def left(lying, chain):
    """Checks that the lying source's final block is not on the chain."""
    forged = lying.el.ref("finalized")
    true = chain.el.ref(forged[0])
    return true and true != forged


def follows(tow):
    """Checks that the head and all labels move along the honest chain and were never on another one, and that the tow is ready."""
    tow.wait_tip()
    begin = tow.geth.labels()
    wait_for("5 blocks more, and labels", lambda: all(tow.el.height(t) >= begin[t][0] + more for t, more in (("latest", 5), ("safe", 1), ("finalized", 1))),
             procs=tow.towline.procs())
    wait_for("ready", tow.towline.coordinator.ready)
    number = {**tow.had, **{r["hash"]: r["number"] for r in tow.trace.records("newPayload")}}
    labels = {r[label] for r in tow.trace.records("forkchoice") for label in ("safe", "finalized")} & set(number)
    forged = [(number[h], h) for h in labels if tow.source.ref(number[h]) != (number[h], h)]
    assert labels and not forged, f"safe or final, and not of the honest chain: {forged}\n{tow.explain()}"
    tow.check()


@pytest.mark.parametrize("place, begins", [(0, "empty"), (2, "where the branch does")], ids=["first", "last"])
def test_a_branch_of_its_own(make_tow, net, honest, branch, recent, place, begins):
    """A false block at each block time of the chain, each safe and final. The client is empty, or has the common blocks."""
    sources = [net.el_url, honest.url]
    sources.insert(place, branch.url)
    tow = make_tow(groups(*sources), copy_of=None if begins == "empty" else recent)
    tow.trace.mark("switch")  # the source that is heard first may lead for some blocks
    tow.start()
    follows(tow)
    wait_shown(tow, place, "source_other_branch")
    wait_for("a final block of the lying source that the chain has otherwise", lambda: left(branch, net))


def test_one_that_was_honest(make_tow, work, net, honest, recent):
    """The best source stands still, comes back, and then builds its own blocks on the common head, safe and final at once."""
    with replica_of(net, work / "lying/turncoat", recent) as lying:
        tow = make_tow(groups(lying.url, net.el_url, honest.url), copy_of=recent).start()
        tow.wait_tip()

        lying.act = lying.stand_still
        wait_shown(tow, 0, "source_behind")
        follows(tow)

        lying.act = lying.follow
        wait_shown(tow, 0, "")

        tow.trace.mark("switch")  # until another source contradicts it, its block is the tip
        lying.act = lying.build_a_branch
        wait_for("a branch", lambda: left(lying, net))
        follows(tow)
        wait_shown(tow, 0, "source_other_branch")


def test_a_head_called_final_and_a_reorg(make_tow, work, deep_reorg_chain):
    """The lying source has the true chain and calls its head safe and final. No other source does, so the chain may still take another branch."""
    chain = deep_reorg_chain.get()
    wait_for("L1 height 53", lambda: int(chain.l1.call("eth_blockNumber"), 16) >= 53, 0.2)
    with replica_of(chain, work / "lying/honest-too") as honest, replica_of(chain, work / "lying/labels") as lying:
        lying.act = lying.follow_and_call_the_head_final
        wait_for("it is called final", lambda: lying.el.height("finalized") >= chain.el.height() - 2)
        tow = make_tow(groups(lying.url, chain.el_url, honest.url), source=chain.el, genesis=chain.genesis, rollup=chain.rollup).start()
        tow.wait_tip(labels=False)
        wait_for("a safe head", lambda: tow.el.height("safe") > 0)
        timeline, begin = Timeline(tow), tow.geth.labels()
        wait_for("5 blocks more", lambda: all(tow.el.height(t) >= begin[t][0] + 5 for t in ("latest", "safe")), procs=tow.towline.procs())
        samples = timeline.stop()
        height = lambda ref: ref[0] if ref else 0  # noqa: E731
        for (_, local, _), (_, _, later) in zip(samples, samples[1:]):
            assert all(height(local[t]) <= height(later[t]) for t in ("safe", "finalized")), f"{local}, and the honest ones have {later}"

        before = tow.el.ref("latest")
        tow.trace.mark("switch")
        chain.l1.call("anvil_reorg", 30, [])
        wait_for("the source to change its branch", lambda: (chain.el.ref(before[0]) or before) != before or chain.el.height() < before[0] - 2)
        chain.restart_batcher()
        wait_for("equal hashes at every height", lambda: tow.el.height() >= before[0] and tow.at_tip() and not tow.differing_heights(), 0.5, tow.towline.procs())
        assert tow.el.ref(before[0]) != before, "the branch did not change: the test shows nothing"
        wait_for("safe to follow on the new branch", lambda: tow.labels_follow(20), 0.5)
        wait_for("ready", tow.towline.coordinator.ready)
        tow.check()


def test_a_gateway_whose_clients_disagree(make_tow, work, net, honest, recent):
    """The best source answers for two clients, of which one leaves the chain: its head stands still, its safe block does not, and another source leads. When its clients agree again it
    has its vote again: then another source stands still, and the labels move all the same."""
    with replica_of(net, work / "lying/behind-the-gateway", recent) as lying:
        gateway = ConsensusGateway([net.el_url, lying.url])
        try:
            tow = make_tow(groups(gateway.url, net.el_url, honest.url), copy_of=recent).start()
            tow.wait_tip()
            wait_shown(tow, 0, "")

            tow.trace.mark("switch")
            lying.act = lying.build_a_branch
            wait_for("a head that stands still", lambda: left(lying, net) and gateway.labels["latest"] <= net.el.height() - 3)
            stands = gateway.labels["latest"]
            follows(tow)
            assert gateway.labels["latest"] == stands, "it did not stand still: the test shows nothing"
            wait_for("it is shown", lambda: said_of(tow, 0))

            lying.act = lying.follow
            wait_for("clients that agree", lambda: gateway.labels["latest"] >= net.el.height() - 3)
            wait_shown(tow, 0, "")
            honest.act = honest.stand_still
            wait_shown(tow, 2, "source_behind")
            follows(tow)
        finally:
            honest.act = honest.follow
            gateway.stop()
