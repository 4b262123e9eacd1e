"""The chain's own p2p network: a real sequencer gossips, Towline takes the blocks, and passes them on to real op-nodes."""
import pytest

from harness.devnet import Devnet
from harness.nodes import SIGNER, Geth
from harness.procs import free_port, wait_for
from harness.rpc import Rpc
from harness.tow import Tow


@pytest.fixture(scope="module")
def chain(work):
    """One block a second, safe and finalized moving."""
    net = Devnet(work / "gossip-net", tip_rate=5.0)
    try:
        yield net.start()
    finally:
        net.stop()


def p2p_flags(*peers):
    return [f"--p2p.unsafe-block-signer={SIGNER}", *(f"--p2p.static={p}" for p in peers)]


@pytest.fixture
def towed_by_gossip(request, work, chain):
    tow = Tow(work / request.node.name, chain, chain.el, [chain.el_url], coordinator_flags=["--unsafe-source=gossip"],
              p2p=p2p_flags(chain.p2p_address()))
    try:
        yield tow.start()
    finally:
        tow.stop()


def address_of(tow):
    """Our own multiaddr, as an operator finds it: in the log."""
    line = next(line for line in tow.towline.gossip.proc.tail(2000).splitlines() if "gossiping" in line)
    return line.split("address=")[1].split()[0]


class Verifier:
    """A second op-node with its own op-geth, connected to one peer."""

    def __init__(self, directory, net, peer):
        self.geth = Geth("verifier-geth", directory, net.genesis).start()
        self.port = free_port()
        self.cl = Rpc(f"http://127.0.0.1:{self.port}")
        self.node = net.op_node("verifier", self.geth.engine_url, self.geth.jwt_file, self.port, f"--p2p.static={peer}",
                                "--p2p.sync.req-resp=false", "--p2p.sync.onlyreqtostatic=true").start()
        wait_for("the verifier", lambda: self.cl.call("optimism_syncStatus"), 30, procs=[self.node])

    def head(self, label="unsafe_l2"):
        s = self.cl.call("optimism_syncStatus")[label]
        return s["number"], s["hash"]

    def stop(self):
        self.node.stop(10)
        self.geth.stop()


def test_UnsafeViaP2P(work, chain, towed_by_gossip):
    """The acceptance test of that name, and in the middle: the verifier's only peer is Towline, and nothing but gossip can bring it blocks."""
    tow = towed_by_gossip
    tow.wait_tip(60)
    verifier = Verifier(work / "verifier", chain, address_of(tow))
    try:
        wait_for("the verifier's safe head", lambda: verifier.head("safe_l2")[0] >= chain.el.height("safe") - 3, 90, procs=[verifier.node])
        chain.batcher.stop()
        wait_for("safe heads that stand still", lambda: verifier.head("safe_l2") == tuple(chain.sync_status()["safe_l2"]), 60, 1)
        wait_for("the verifier at the tip", lambda: verifier.head()[0] >= chain.el.height() - 2, 30)
        safe, first = verifier.head("safe_l2")[0], verifier.head()[0]
        imported = tow.towline.gossip.metrics()['towline_gossip_blocks_total{rule="none"}']
        wait_for("100 blocks by way of Towline", lambda: verifier.head()[0] >= first + 100, 130, 1, procs=[verifier.node, *tow.towline.procs()])
        number, block_hash = verifier.head()
        assert chain.el.block(number)["hash"] == block_hash
        assert verifier.head("safe_l2")[0] == safe, "safe stood still, so gossip alone brought them"
        assert tow.at_tip(), tow.explain()
        assert tow.towline.gossip.metrics()['towline_gossip_blocks_total{rule="none"}'] - imported >= 100
        us = address_of(tow).rsplit("/", 1)[1]
        for cl, who in ((chain.cl, "sequencer"), (verifier.cl, "verifier")):
            scores = cl.call("opp2p_peers", True)["peers"][us]["scores"]["gossip"]
            assert scores["behavioralPenalty"] == 0 and scores["total"] >= 0, (who, scores)
        tow.check()
        from_gossip = [d for d in tow.towline.decisions() if "p2p network brought" in d["reason"]]
        assert len(from_gossip) >= 90, "our own client was towed by gossip"
    finally:
        chain.batcher.start()
        verifier.stop()
