"""Sources of every kind: the EL alone; three of which one dies and one lies."""
from conftest import HISTORY
from harness.nodes import Geth
from harness.payload import Builder, EngineApi, fetch_blocks, read_rollup
from harness.procs import free_port, wait_for
from harness.source_proxy import SourceProxy, lie_in_body
from harness.towline import Service


def test_the_EL_alone(make_tow, net):
    """2. An execution client's JSON-RPC is source enough: heads, labels and bodies. (The CL for heads is in test_1_follow.)"""
    tow = make_tow([net.el_url]).start()
    tow.wait_tip()
    before = tow.geth.labels()
    wait_for("labels that move", lambda: all(tow.el.height(t) > before[t][0] for t in before))
    tow.check()
    assert tow.el.height() >= HISTORY


def foreign_chain(work, net, fork_at):
    """An op-geth with a valid chain of its own that leaves the real one at fork_at and is longer; its labels are its own too."""
    geth = Geth("foreign-geth", work / "foreign", net.genesis).start()
    rollup = read_rollup(net.rollup)
    EngineApi(geth.engine, rollup).feed(fetch_blocks(net.el, 1, fork_at))
    builder = Builder(geth, rollup)
    while geth.el.height() < net.el.height() + 20:  # the real one grows meanwhile
        builder.branch(20)
    head = geth.el.height()
    builder.label(head - 5, head - 10)
    return geth


def test_three_sources_one_dies_one_lies(make_tow, work, net, half_way):
    """8. The third source suffices; nothing unverified reaches the client; following goes on."""
    dies, lies, good = (SourceProxy(net.el_url, free_port()) for _ in range(3))
    lies.lie = lie_in_body
    tow = make_tow([dies.url, lies.url, good.url], copy_of=half_way)
    foreign = None
    try:
        tow.start()
        wait_for("the first imported blocks", lambda: tow.el.height() > 1050)
        dies.close()
        tow.wait_tip()
        assert lies.lies > 0, "the lying source was never asked: the test shows nothing"
        evidence = tow.towline.cli("endpoints", "--remote-fetcher", tow.towline.fetcher.grpc)
        assert sum(int(e.get("integrity_failures", 0)) for e in evidence["endpoints"]) > 0, evidence
        tow.check()

        # now the lying source serves a whole valid branch that leaves ours below finalized, longer than the real chain
        foreign = foreign_chain(work, net, tow.el.height("finalized") - 50)
        lies.lie = None
        lies.set_upstream(foreign.url)
        # a new fetcher has no history: the lying source is the first live source in its list
        tow.towline.fetcher.proc.kill()
        tow.towline.fetcher.start()
        asked, height = lies.requests, tow.el.height()
        wait_for("20 looks at the foreign branch, and 20 blocks of the real one", lambda: lies.requests >= asked + 20 and tow.el.height() >= height + 20, 0.5)
        tow.wait_tip()
        tow.check()
        # in this order, because the real chain grows while it is read
        fed = {r["hash"] for r in tow.trace.records("newPayload")}
        ours = set(net.el.hashes(0, net.el.height()).values())
        assert fed <= ours, "a block of the foreign branch reached the client"
    finally:
        for proxy in (dies, lies, good):
            proxy.stop()
        if foreign:
            foreign.stop()


def test_MultiELSync(make_tow, net, half_way):
    """One fetcher and one coordinator tow two clients, each through a driver of its own; the second one dies and comes back, the first goes on."""
    tow = make_tow([net.cl_url, net.el_url], copy_of=half_way)
    second = Geth("second-geth", tow.dir, net.genesis, copy_of=half_way).start()
    data = tow.dir / "second-data"
    data.mkdir()
    driver = Service("engine-driver", tow.dir, [f"--rollup-config={net.rollup}", f"--engine={second.engine_url}", f"--jwt-secret={second.jwt_file}",
                                                f"--data-dir={data}", f"--remote-fetcher=dns:///{tow.towline.fetcher.grpc}"], name="second-driver").start()
    tow.towline.coordinator.proc.argv.append(f"--engine-driver={driver.grpc}")
    try:
        tow.start()
        tow.wait_tip()
        wait_for("the second one at the tip", lambda: second.el.height() >= net.el.height() - 2, procs=[driver.proc])
        second.proc.kill()
        height = tow.el.height()
        wait_for("the first one goes on", lambda: tow.el.height() >= height + 5, procs=tow.towline.procs())
        second.start()
        wait_for("the second one is back", lambda: second.el.height() >= net.el.height() - 2, procs=[driver.proc])
        low = min(second.el.height(), net.el.height())
        assert second.el.hashes(0, low) == net.el.hashes(0, low)
        tow.check()
    finally:
        driver.proc.stop()
        second.stop()
