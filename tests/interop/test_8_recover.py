"""A source that was alone made a branch of its own final: `towline recover --force` takes it back when two others contradict it."""
import json

from harness.procs import free_port, wait_for
from harness.source_proxy import SourceProxy
from test_2_sources import foreign_chain

FORK, LENGTH = 100, 300


def test_op_geth_is_brought_back_below_what_it_froze(make_tow, work, net):
    """op-geth moves what is final to its ancient store, and what is there it shows at its height whatever branch its head is on: only debug_setHead takes
    it out. Deeper than the state that it keeps, too."""
    liar = foreign_chain(work, net, FORK, LENGTH)
    second = SourceProxy(net.el_url, free_port())
    try:
        tow = make_tow([f"{liar.url},group=liar"], admin=True).start()
        wait_for("a forged block that is final", lambda: tow.el.ref("finalized") == liar.el.ref("finalized"), 0.5, tow.towline.procs())
        number, forged = tow.el.ref("finalized")
        assert number > FORK and net.el.block(number)["hash"] != forged, "no forged block is final: the test shows nothing"
        wait_for("it to be frozen", lambda: tow.el.call("debug_dbAncients") > number, 1)
        fetcher = tow.towline.fetcher.proc
        fetcher.kill()
        fetcher.argv += [f"--endpoint={net.el_url},group=a", f"--endpoint={second.url},group=b"]
        tow.towline.fetcher.start()
        wait_for("DIVERGED", lambda: tow.towline.state() == "DIVERGED", 0.5, tow.towline.procs())
        found = tow.towline.cli("recover", "--force", "--reason", "two others say so")["tows"][0]["finality"]
        print(json.dumps(found, indent=1), "\nafter it:", tow.geth.labels())
        assert found["outcome"] == "OUTCOME_DONE" and found["to"]["number"] == FORK and found["was"]["hash"] == forged, found
        tow.wait_tip()
        assert not tow.differing_heights(), "what was frozen is shown no more"
        state = json.loads((tow.towline.dir / "data" / "state.json").read_text())["fence"]
        assert net.el.block(state["number"])["hash"] == state["hash"], "the fence is an honest block again"
        # It is so on disk, too.
        tow.towline.driver.proc.kill()
        tow.geth.stop()
        tow.geth.start()
        assert not tow.differing_heights()
        tow.towline.driver.start()
        tow.wait_tip()
    finally:
        second.stop()
        liar.stop()
