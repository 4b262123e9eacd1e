"""The chain's own p2p network: a real sequencer gossips, Towline takes the blocks, and passes them on to real op-nodes."""
import json
import subprocess
import time

import pytest

from harness.devnet import NO_BOOTNODE, Devnet
from harness.nodes import PEERS, SIGNER, Geth
from harness.procs import Proc, free_port, patient, wait_for
from harness.rpc import Rpc
from harness.tow import Tow
from harness.towline import Service, binary


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
    """Our own multiaddr from the log, where an operator finds it."""
    line = next(line for line in tow.towline.gossip.proc.tail(2000).splitlines() if "gossiping" in line)
    return line.split("address=")[1].split()[0]


class Verifier:
    """A second op-node with its own op-geth, connected to one peer."""

    def __init__(self, directory, net, peer):
        self.geth = Geth("verifier-geth", directory, net.genesis).start()
        self.port = free_port()
        self.cl = Rpc(f"http://127.0.0.1:{self.port}")
        self.node = net.op_node("verifier", self.geth.engine_url, self.geth.jwt_file, self.port, f"--p2p.static={peer}",
                                "--p2p.sync.req-resp=false", "--syncmode.req-resp=false", "--p2p.sync.onlyreqtostatic=true").start()
        wait_for("the verifier", lambda: self.cl.call("optimism_syncStatus"), procs=[self.node])

    def head(self, label="unsafe_l2"):
        s = self.cl.call("optimism_syncStatus")[label]
        return s["number"], s["hash"]

    def stop(self):
        self.node.stop(10)
        self.geth.stop()


def test_UnsafeViaP2P(work, chain, towed_by_gossip):
    """The acceptance test of that name, and in the middle: the verifier's only peer is Towline, and nothing but gossip can bring it blocks."""
    tow = towed_by_gossip
    tow.wait_tip()
    verifier = Verifier(work / "verifier", chain, address_of(tow))
    try:
        # The verifier asks nobody for the blocks before the first that gossip brings it. Derivation has to reach that one before the batcher stops.
        wait_for("the verifier in our mesh", lambda: tow.towline.gossip.metrics()['towline_gossip_mesh_peers{version="4"}'] == 2,
                 procs=[verifier.node, *tow.towline.procs()])
        led = chain.el.height() + 1
        wait_for("the verifier's safe head to reach gossip", lambda: verifier.head("safe_l2")[0] >= led, procs=[verifier.node, *chain.procs()])
        chain.batcher.stop()
        wait_for("safe heads that stand still", lambda: verifier.head("safe_l2") == chain.sync_status()["safe_l2"], 1, [verifier.node, chain.node])
        wait_for("the verifier at the tip", lambda: verifier.head()[0] >= chain.el.height() - 2, procs=[verifier.node, *tow.towline.procs()])
        safe, first = verifier.head("safe_l2")[0], verifier.head()[0]
        imported = tow.towline.gossip.metrics()['towline_gossip_blocks_total{rule="none"}']
        wait_for("100 blocks by way of Towline", lambda: verifier.head()[0] >= first + 100, 1, procs=[verifier.node, *tow.towline.procs()])
        number, block_hash = verifier.head()
        assert chain.el.block(number)["hash"] == block_hash
        assert verifier.head("safe_l2")[0] == safe, "safe stood still, so gossip alone brought them"
        tow.wait_tip(labels=False)
        # One block may have been on its way to the verifier at the first look.
        assert tow.towline.gossip.metrics()['towline_gossip_blocks_total{rule="none"}'] - imported >= 99
        us = address_of(tow).rsplit("/", 1)[1]
        for cl, who in ((chain.cl, "sequencer"), (verifier.cl, "verifier")):
            scores = cl.call("opp2p_peers", True)["peers"][us]["scores"]["gossip"]
            assert scores["behavioralPenalty"] == 0 and scores["total"] >= 0, (who, scores)
        tow.check()
        # One decision may bring several blocks.
        wait_for("90 times that gossip led our own client", lambda: imports_by_gossip(tow) >= 90, 1)
    finally:
        chain.batcher.start()
        verifier.stop()


def imports_by_gossip(tow):
    return sum(1 + int(d["repeated"]) for d in tow.towline.decisions() if "p2p network brought" in d["reason"])


def test_outage_of_gossip_and_restart_of_the_sequencer(chain, towed_by_gossip):
    """60 blocks without gossip, then with it again; then the sequencer restarts. The client ends where the sequencer is each time, and safe moves on."""
    tow = towed_by_gossip
    tow.wait_tip()
    tow.towline.gossip.proc.pause()
    away = chain.el.height()
    wait_for("60 blocks", lambda: chain.el.height() >= away + 60, 1, chain.procs())
    tow.towline.gossip.proc.resume()
    before = imports_by_gossip(tow)
    tow.wait_tip()
    wait_for("gossip that leads again", lambda: imports_by_gossip(tow) >= before + 5)
    chain.node.stop()
    chain.node.start()
    wait_for("the sequencer", lambda: chain.cl.call("optimism_syncStatus"), procs=[chain.node])
    before, safe = imports_by_gossip(tow), tow.el.height("safe")
    wait_for("blocks of the restarted sequencer", lambda: imports_by_gossip(tow) >= before + 5)
    tow.wait_tip()
    wait_for("safe to move on", lambda: tow.el.height("safe") > safe)
    tow.check()


@pytest.mark.parametrize(("names", "evidence"), [(["127.0.0.1"], "signer taken from one L1 endpoint"), (["127.0.0.1", "localhost"], "two L1 endpoints agree on that block")])
def test_the_signer_is_read_from_L1(work, chain, names, evidence):
    """The signer comes only from SystemConfig on the real L1, with proof. (Two names of one node stand for two nodes.)"""
    directory = work / f"signer-of-l1-{len(names)}"
    directory.mkdir()
    l1 = [f"--l1-rpc={chain.l1_url.replace('127.0.0.1', name)}" for name in names]
    gossip = Service("p2p-gossip", directory, [f"--rollup-config={chain.rollup}", f"--data-dir={directory / 'p2p'}", "--p2p.listen.ip=127.0.0.1", "--p2p.listen.tcp=0",
                                               *l1, f"--p2p.static={chain.p2p_address()}"]).start()
    try:
        wait_for("blocks of the signer", lambda: gossip.metrics().get('towline_gossip_blocks_total{rule="none"}', 0) >= 3, procs=[gossip.proc])
        log = gossip.proc.tail(100)
        assert SIGNER.lower() in log and evidence in log, "the log says whom L1 names, and how far that goes"
        assert gossip.metrics()['towline_gossip_signer_reads_total{result="ok"}'] >= 1
    finally:
        gossip.proc.stop(10)


def itself(gossip):
    """(peer id, ENR) of a p2p-gossip, as its operator sees them."""
    node = json.loads(subprocess.check_output([binary("towline"), "--json", "--p2p-gossip", gossip.grpc, "peers"]))["node"]
    return node["peer_id"], node["enr"]


def far_from(node_id, gossip, key_file):
    """Starts p2p-gossip with new keys until its id is in another quarter of the id space: go-ethereum's lookups always reach far nodes, near ones
    seldom."""
    while True:
        gossip.start()
        us, enr = itself(gossip)
        decoded = json.loads(subprocess.check_output([binary("towline"), "--json", "inspect", "enr", enr]))
        if (int(decoded["node_id"], 16) ^ int(node_id, 16)) >> 254:
            return us, enr
        gossip.proc.stop(10)
        key_file.unlink()


def test_discv5_finds_op_node_and_is_found(work, chain):
    """op-node with discovery on; we know one record of it, and a second op-node knows only ours."""
    directory = work / "discv5"
    directory.mkdir()
    geths, nodes = [Geth(f"discv5-geth-{i}", directory, chain.genesis).start() for i in range(2)], []

    def op_node(i, *flags):
        port = free_port()
        nodes.append(chain.op_node(f"discv5-{i}", geths[i].engine_url, geths[i].jwt_file, port, "--p2p.advertise.ip=127.0.0.1",
                                   "--p2p.sync.req-resp=false", "--p2p.sync.onlyreqtostatic=true", *flags, discovery=True).start())
        rpc = Rpc(f"http://127.0.0.1:{port}")
        wait_for("op-node", lambda: rpc.call("opp2p_self"), procs=nodes)
        return rpc

    gossip = None
    try:
        # The sequencer is a static peer of this op-node; our node is not told.
        first = op_node(0, f"--p2p.static={chain.p2p_address()}", f"--p2p.bootnodes={NO_BOOTNODE}")
        gossip = Service("p2p-gossip", directory, [f"--rollup-config={chain.rollup}", f"--data-dir={directory / 'p2p'}", "--p2p.listen.ip=127.0.0.1",
                                                   f"--p2p.listen.tcp={free_port()}", f"--p2p.unsafe-block-signer={SIGNER}",
                                                   f"--p2p.bootnodes={first.call('opp2p_self')['ENR']}"])
        us, enr = far_from(first.call("opp2p_self")["nodeID"], gossip, directory / "p2p/p2p_priv.txt")
        wait_for("op-node among our peers", lambda: us in first.call("opp2p_peers", True)["peers"], procs=[gossip.proc, *nodes])
        wait_for("blocks by way of it", lambda: gossip.metrics().get('towline_gossip_blocks_total{rule="none"}', 0) >= 3, procs=[gossip.proc])
        second = op_node(1, f"--p2p.bootnodes={enr}")
        wait_for("a second op-node that found us", lambda: us in second.call("opp2p_peers", True)["peers"], procs=[gossip.proc, *nodes])
        assert enr in second.call("opp2p_discoveryTable")
        other = first.call("opp2p_self")["ENR"]
        wait_for("the second op-node to learn of the first from us", lambda: other in second.call("opp2p_discoveryTable"), 1, procs=nodes)
        wait_for("both to answer us", lambda: gossip.metrics()['towline_gossip_discovery_nodes{state="chain"}'] == 2, procs=nodes)
        assert gossip.metrics()['towline_gossip_discovery_dropped_total{reason="bad_handshake"}'] == 0
        # A restart: the found nodes are known without any boot node. The first op-node (go-ethereum) adds callers to its table only after its own
        # start, which was not over at our first call.
        gossip.proc.stop(10)
        gossip.proc.argv = [a for a in gossip.proc.argv if not a.startswith("--p2p.bootnodes")]
        gossip.start()
        kept = (directory / "p2p/p2p_nodes.txt").read_text().split()
        assert len(kept) == 2 and all(record.startswith("enr:") for record in kept), kept
        # The peers may be faster and dial us.
        wait_for("peers that were found before", lambda: sum(v for k, v in gossip.metrics().items() if k.startswith("towline_gossip_peers{")) >= 2,
                 procs=[gossip.proc])
        assert "no node found before can be read" not in gossip.proc.tail(5000)
        _, enr = itself(gossip)
        wait_for("our new record in the tables of both", lambda: all(enr in n.call("opp2p_discoveryTable") for n in (first, second)), 1, procs=nodes)
    finally:
        for p in [*([gossip.proc] if gossip else []), *nodes, *geths]:
            p.stop()


def test_200_visits_of_go_libp2p_leave_nothing_behind(work):
    """New go-libp2p nodes join the mesh and leave, with or without a goodbye; descriptors and memory are as before, and an honest peer stays."""
    directory = work / "churn"
    net = Simulated(directory, "--blocks=2", "--tx-per-block=2")
    chain_id = json.loads(open(net.endpoints["rollup"]).read())["l2_chain_id"]
    gossip = Service("p2p-gossip", directory, [f"--rollup-config={net.endpoints['rollup']}", f"--data-dir={directory / 'p2p'}", "--p2p.listen.ip=127.0.0.1",
                                               f"--p2p.listen.tcp={free_port()}", f"--p2p.unsafe-block-signer={net.endpoints['signer']}", "--p2p.no-discovery",
                                               f"--p2p.static={net.endpoints['p2p']}"]).start()

    def visit(name, count):
        address = next(line for line in gossip.proc.tail(5000).splitlines() if "gossiping" in line).split("address=")[1].split()[0]
        p = Proc(name, [PEERS / "go-peers", "churn", count, f"/optimism/{chain_id}/3/blocks", address], directory).start()
        wait_for(f"{count} visits", lambda: p.exit_code() is not None, 0.2)
        assert p.exit_code() == 0, p.tail()
        wait_for("the last visitor to be gone", lambda: sum(v for k, v in gossip.metrics().items() if k.startswith("towline_gossip_peers{")) == 1)

    try:
        wait_for("the mesh", lambda: net.mesh() == 1)
        visit("warm-up", 20)
        descriptors, memory = gossip.descriptors(), gossip.rss_mib()
        visit("churn", 200)
        wait_for("descriptors as before", lambda: gossip.descriptors() <= descriptors)
        assert gossip.rss_mib() < memory + 8, f"{memory} -> {gossip.rss_mib()} MiB"
        assert net.mesh() == 1, "the honest peer was there all the time"
        assert not [k for k in gossip.metrics() if "bans_total" in k and gossip.metrics()[k]]
    finally:
        gossip.proc.stop(10)
        net.proc.stop()


class Simulated:
    """towline-devnet: a sequencer that gossips real signed blocks, any number at once."""

    def __init__(self, directory, *flags):
        directory.mkdir(parents=True)
        # Blocks a second apart, up to the present; further ones only on command.
        self.proc = Proc("devnet", [binary("towline-devnet"), f"--dir={directory}", "--block-time=1", *flags], directory).start()
        wait_for("the simulated chain", lambda: (directory / "endpoints.json").exists(), procs=[self.proc])
        self.endpoints = json.loads((directory / "endpoints.json").read_text())
        self.command(cmd="produce", on=False)
        self.source = Rpc(self.endpoints["sources"][0])

    def command(self, **command):
        return json.loads(patient.post(self.endpoints["control"] + "/ctl", json.dumps(command).encode())[1])

    def mesh(self):
        return self.command(cmd="append", count=0)["gossip"]["mesh"]

    def append(self, count):
        self.command(cmd="append", count=count)
        return count

    def reorg(self, depth):
        """A branch of depth + 1 new blocks, as soon as its last block is not in the future, where it would be refused."""
        last = int(self.source.block("latest")["timestamp"], 16) + 1
        wait_for("the time of the new branch", lambda: time.time() >= last)
        self.command(cmd="reorg", depth=depth)
        return depth + 1


class JsPeers:
    """js-libp2p nodes in one process; each dials `peers`."""

    def __init__(self, directory, count, chain_id, peers):
        work = PEERS.parent / "npm"
        self.count = count
        self.proc = Proc("js", [PEERS / "node", work / "gossip_peer.mjs", count, f"/optimism/{chain_id}/3/blocks", *peers], directory, cwd=work).start()
        wait_for("js-libp2p", lambda: len(self.addresses()) == count, procs=[self.proc])

    def lines(self):
        return [json.loads(line) for line in self.proc.log.read_text().splitlines() if line.startswith("{")]

    def addresses(self):
        return [o["address"] for o in self.lines() if "address" in o]

    def received(self, node):
        return [o for o in self.lines() if o["node"] == node and "sha256" in o]

    def all_have(self, sent):
        """Whether each node has that many different blocks; raises with what there is. No node dials again, so no connection may end."""
        lines = self.lines()
        distinct = [len({o["sha256"] for o in lines if o["node"] == node and "sha256" in o}) for node in range(self.count)]
        left = [o for o in lines if "left" in o]
        assert distinct == [sent] * self.count and not left, (distinct, left)
        return True


@pytest.mark.parametrize("count,js_dials", [(1, True), (1, False), (8, True)], ids=["js-dials", "we-dial", "mesh-of-8"])
def test_js_libp2p_takes_blocks_from_us_and_brings_us_others(request, work, count, js_dials):
    """The sequencer's only peers are js nodes, and so are those of our p2p-gossip: each block goes from our stack through js to our stack."""
    directory = work / request.node.name.replace("[", "-").replace("]", "")
    # Its blocks are in the past, so that a thousand more may come at once; more than five at one height would be refused.
    net = Simulated(directory, "--blocks=60", "--tx-per-block=2", f"--genesis-time={int(time.time()) - 1500}")
    rollup = net.endpoints["rollup"]
    chain_id = json.loads(open(rollup).read())["l2_chain_id"]
    port = free_port()
    flags = [f"--rollup-config={rollup}", f"--data-dir={directory / 'p2p'}", "--p2p.listen.ip=127.0.0.1", f"--p2p.listen.tcp={port}", "--p2p.gossip.timestamp.threshold=24h",
             f"--p2p.unsafe-block-signer={net.endpoints['signer']}"]
    gossip = js = None
    try:
        if js_dials:
            gossip = Service("p2p-gossip", directory, flags).start()
            us = next(line for line in gossip.proc.tail(50).splitlines() if "gossiping" in line).split("address=")[1].split()[0]
            js = JsPeers(directory, count, chain_id, [net.endpoints["p2p"], us])
        else:
            js = JsPeers(directory, count, chain_id, [net.endpoints["p2p"]])
            gossip = Service("p2p-gossip", directory, [*flags, f"--p2p.static={js.addresses()[0]}"]).start()
        good = 'towline_gossip_blocks_total{rule="none"}'
        # A js node that is in no mesh yet would miss the first blocks for good: gossip tells of a message for three heartbeats only.
        wait_for("all js nodes in both meshes", lambda: net.mesh() == count and gossip.metrics()['towline_gossip_mesh_peers{version="4"}'] == count,
                 procs=[js.proc, gossip.proc])
        sent = 0
        while sent < 1000:
            # One peer may have 64 blocks waiting for validation, and may bring 400 at once and 100 a second: more are dropped.
            sent += net.append(50)
            time.sleep(0.6)
            wait_for(f"{sent} blocks through js", lambda: gossip.metrics().get(good, 0) >= sent, procs=[js.proc, gossip.proc])
            wait_for(f"{sent} blocks at each js node", lambda: js.all_have(sent), procs=[js.proc])
        metrics = gossip.metrics()
        assert metrics[good] == sent and metrics['towline_gossip_messages_total{result="rejected"}'] == 0
        assert metrics['towline_gossip_messages_total{result="throttled"}'] == 0
    finally:
        for p in (gossip and gossip.proc, js and js.proc, net.proc):
            if p:
                p.stop(10)


def test_js_libp2p_and_blocks_of_1_MiB(work):
    directory = work / "js-large"
    net = Simulated(directory, "--blocks=12", "--tx-per-block=8", "--tx-bytes=131072")
    rollup = net.endpoints["rollup"]
    gossip = Service("p2p-gossip", directory, [f"--rollup-config={rollup}", f"--data-dir={directory / 'p2p'}", "--p2p.listen.ip=127.0.0.1", f"--p2p.listen.tcp={free_port()}",
                                               f"--p2p.unsafe-block-signer={net.endpoints['signer']}"]).start()
    us = next(line for line in gossip.proc.tail(50).splitlines() if "gossiping" in line).split("address=")[1].split()[0]
    js = JsPeers(directory, 1, json.loads(open(rollup).read())["l2_chain_id"], [net.endpoints["p2p"], us])
    try:
        good = 'towline_gossip_blocks_total{rule="none"}'
        wait_for("both meshes", lambda: net.mesh() == 1 and gossip.metrics()['towline_gossip_mesh_peers{version="4"}'] == 1)
        sent = 0
        while sent < 10:
            # Above 4 MiB the messages for a slow reader are dropped.
            sent += net.reorg(1)
            wait_for(f"{sent} blocks through js", lambda: gossip.metrics().get(good, 0) == sent, procs=[js.proc, gossip.proc])
        assert all(o["bytes"] > 1 << 20 for o in js.received(0))
    finally:
        for p in (gossip.proc, js.proc, net.proc):
            p.stop(10)
