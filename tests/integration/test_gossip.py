"""p2p-gossip with the other services on the simulated chain, whose sequencer gossips; and an operator's mistakes."""
import http.server
import json
import subprocess
import sys
import threading
import time

import pytest
from stack import BIN, GOSSIP, HANG_S, ROOT, Process, free_port
from test_input import run
from test_services import buf_curl

RULES = "towline_gossip_blocks_total"


def cli(s, *args, code=0):
    p = subprocess.run([BIN / "towline", *args, "--p2p-gossip", f"127.0.0.1:{s.ports[GOSSIP][0]}", "--sync-coordinator",
                        f"127.0.0.1:{s.ports['sync-coordinator'][0]}"], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert p.returncode == code, p.stdout + p.stderr
    return p.stdout + p.stderr


def accepted(s):
    line = next((x for x in s.get(GOSSIP, "/metrics")[1].splitlines() if x.startswith(RULES + '{rule="none"}')), "0")
    return float(line.split()[-1])


def imported_by_gossip(s):
    decisions = json.loads(cli(s, "decisions", "--json"))["decisions"]
    return sum(1 + int(d["repeated"]) for d in decisions if "p2p network brought" in d["reason"])


@pytest.mark.parametrize("source", ["both", "gossip"])
def test_blocks_come_by_gossip_and_the_trace_is_without_fault(stack, source):
    s = stack(blocks=300, block_time=1).start(gossip=True, coordinator_extra=[f"--unsafe-source={source}"])
    s.wait_tip()
    s.wait("15 gossiped blocks", lambda: accepted(s) >= 15)
    s.wait("10 that gossip brought first", lambda: imported_by_gossip(s) >= 10)
    s.wait_same_head()
    s.check_trace()


def test_a_reorg_of_the_sequencer_is_followed(stack):
    s = stack(blocks=100, block_time=1).start(gossip=True)
    s.wait_tip()
    for depth in (1, 5, 9):
        s.ctl("reorg", depth=depth)
        def on_the_new_branch():
            stats = s.stats()
            return stats["el"]["head"] == stats["chain"]["head"]
        s.wait("the new branch", on_the_new_branch)
    s.wait_same_head()
    s.check_trace()


@pytest.mark.parametrize("source", ["gossip", "remote"])
def test_a_block_with_a_transaction_that_is_no_envelope_never_reaches_the_client(stack, source):
    """A malformed block that is valid gossip and that every source has: the client does not get it, nobody is punished, and another branch is followed."""
    s = stack(blocks=50, block_time=0).start(gossip=True, coordinator_extra=[f"--unsafe-source={source}"])
    s.wait("a mesh", lambda: s.stats()["gossip"]["mesh"] == 1)
    s.ctl("append")
    s.wait("the client at the tip", lambda: s.stats()["el"]["head"] == s.stats()["chain"]["head"])
    before = s.stats()["el"]["head"]
    bad = s.ctl("append", malformed=True)["chain"]["head"]
    said = s.wait("the refusal", lambda: [d["reason"] for d in json.loads(cli(s, "decisions", "--json"))["decisions"] if "is kept from the EL" in d["reason"]])
    assert f"block {bad['number']} " in said[0] and "is no envelope: type 0x02: rlp: bytes left over" in said[0], said
    assert s.stats()["el"]["head"] == before
    s.wait("both blocks by gossip", lambda: accepted(s) == 2)
    sender = json.loads(cli(s, "peers", "--json"))["peers"]["peers"][0]
    assert not sender.get("rejected") and sender.get("score", 0) >= 0, sender
    # Then its second block is not in the future, which would be refused.
    s.wait("the time of the other branch", lambda: time.time() >= s.timestamp() + 2)
    s.ctl("reorg", depth=1)
    s.wait("the other branch", lambda: s.stats()["el"]["head"] == s.stats()["chain"]["head"])
    assert bad["hash"] not in s.trace.read_text()
    s.check_trace()


def test_gossip_alone_carries_on_when_every_source_is_gone(stack):
    s = stack(blocks=100, block_time=1).start(gossip=True)
    s.wait_tip()
    s.processes["remote-fetcher"].kill()
    begin = s.stats()["el"]["head"]["number"]
    s.wait("10 blocks without a source", lambda: s.stats()["el"]["head"]["number"] >= begin + 10)
    status = s.wait("gossip_only", lambda: "gossip_only" in cli(s, "status", "--json") and json.loads(cli(s, "status", "--json")))
    assert "safe and finalized stand still" in json.dumps(status)
    s.processes["remote-fetcher"].start()
    s.wait_same_head()
    s.check_trace()


def test_killed_and_started_again(stack):
    s = stack(blocks=100, block_time=1).start(gossip=True)
    s.wait_tip()
    for _ in range(3):
        s.wait("gossiped blocks", lambda: accepted(s) >= 3)
        s.processes[GOSSIP].kill()
        begin = s.stats()["el"]["head"]["number"]
        s.wait("blocks without p2p-gossip", lambda b=begin: s.stats()["el"]["head"]["number"] >= b + 3)
        s.processes[GOSSIP].start()
    s.wait("gossiped blocks again", lambda: accepted(s) >= 3)
    s.wait_same_head()
    s.check_trace()


def test_an_outage_of_the_network_and_its_return(stack):
    """p2p-gossip is away for some blocks; the sources serve them, and then gossip leads again."""
    s = stack(blocks=50, block_time=1).start(gossip=True, coordinator_extra=["--unsafe-source=gossip"])
    s.wait_tip()
    s.wait("gossiped blocks", lambda: accepted(s) >= 5)
    s.processes[GOSSIP].kill()
    away = s.stats()["chain"]["head"]["number"]
    s.wait("6 blocks", lambda: s.stats()["chain"]["head"]["number"] >= away + 6)
    s.processes[GOSSIP].start()
    before = imported_by_gossip(s)
    s.wait("led by gossip again", lambda: imported_by_gossip(s) >= before + 5)
    s.wait_same_head()
    s.check_trace()


def test_offers_what_every_service_offers(stack):
    s = stack(blocks=20, block_time=1).start(gossip=True)
    s.wait_tip()
    url = f"http://127.0.0.1:{s.ports[GOSSIP][0]}"
    listed = buf_curl(url, "--list-methods")
    for name in ("towline.v1.P2PGossip", "towline.v1.PayloadSource", "grpc.health.v1.Health"):
        assert any(line.startswith(name + "/") for line in listed.splitlines()), listed
    node = json.loads(buf_curl(url + "/towline.v1.P2PGossip/GetNode", "-d", "{}"))
    assert node["peers"] == 1 and node["signerSource"] == "flag", node
    s.wait("ready", lambda: s.get(GOSSIP, "/readyz")[0] == 200)
    assert "process_resident_memory_bytes" in s.get(GOSSIP, "/metrics")[1]
    assert s.processes[GOSSIP].stop() == 0


def test_peers_bans_and_connects(stack):
    s = stack(blocks=20, block_time=1).start(gossip=True)
    s.wait("a peer", lambda: "towline-devnet (static)" in cli(s, "peers"))
    table = cli(s, "peers")
    peer = s.endpoints["p2p"].rsplit("/", 1)[1]
    assert peer in table and s.endpoints["signer"] in table, table
    assert "no such peer" not in cli(s, "ban", "203.0.113.7", "--reason", "because")
    assert "203.0.113.7 (because)" in cli(s, "peers")
    s.processes[GOSSIP].kill()
    s.processes[GOSSIP].start()
    s.wait("alive", lambda: s.get(GOSSIP, "/livez")[0] == 200)
    assert "203.0.113.7 (because)" in cli(s, "peers"), "the ban is kept"
    cli(s, "unban", "203.0.113.7")
    assert "203.0.113.7" not in cli(s, "peers")
    assert "not banned" in cli(s, "unban", "203.0.113.7", code=1)
    assert "neither a peer id nor an IP address" in cli(s, "ban", "nobody", code=1)
    assert "connected" in cli(s, "connect", s.endpoints["p2p"])
    assert "no /p2p/PEER-ID" in cli(s, "connect", "/ip4/127.0.0.1/tcp/1", code=1)
    assert json.loads(cli(s, "peers", "--json"))["peers"]["peers"][0]["peer_id"] == peer


def test_publishing_from_outside(stack):
    s = stack(blocks=20, block_time=0).start(gossip=True)
    url = f"http://127.0.0.1:{s.ports[GOSSIP][0]}/towline.v1.P2PGossip/PublishBlock"
    p = subprocess.run([sys.executable, ROOT / "scripts/buf.py", "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d",
                        '{"message": "AQIDBA=="}', url], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert p.returncode != 0 and "rule snappy" in p.stderr, p.stdout + p.stderr


def test_a_clock_that_is_ahead_is_told_by_the_sources(stack, tmp_path):
    """A clock 40 s ahead: blocks look old, but not too old to be accepted; the clock of a source shows the error."""
    s = stack(blocks=5)
    preload = subprocess.run(["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=True).stdout.split()
    library = next(f for f in preload if f.endswith("libfaketimeMT.so.1"))
    env = {"LD_PRELOAD": library, "FAKETIME": "+40s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    # An HTTP server that answers 501, with the time.
    clock = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=clock.serve_forever, daemon=True).start()
    p = Process(GOSSIP, [*s.flags(GOSSIP), f"--clock-source=http://127.0.0.1:{clock.server_port}"], tmp_path, env).start()
    try:
        s.wait("the clock is named", lambda: "ahead of the sources" in p.log.read_text())
        status, text = s.wait("its status server", lambda: s.get(GOSSIP, "/readyz"))
        assert status == 503 and "own_settings_suspect" in text and "set it (NTP)" in text, text
        assert "towline_gossip_penalties_suspended 1" in s.get(GOSSIP, "/metrics")[1]
    finally:
        p.stop()
        clock.shutdown()


@pytest.mark.parametrize(("flag", "says"), [
    ("--p2p.priv.path={tmp}/short", "is not a private key"), ("--p2p.priv.path={tmp}", "cannot be read"), ("--p2p.listen.ip=example.org", "not an IP address"),
    ("--p2p.priv.raw=c4n4ry", "use TOWLINE_P2P_PRIV_RAW"), ("--p2p.netrestrict=10.0.0.0", "--p2p.netrestrict: not a network"),
    ("--p2p.bootnodes=enr:-x", "--p2p.bootnodes"), ("--p2p.bootnodes=enode://12@127.0.0.1:1", "--p2p.bootnodes"),
    ("--p2p.bootnodes=/ip4/127.0.0.1/tcp/1", "--p2p.bootnodes"), ("--p2p.listen.ip=203.0.113.1", "cannot listen on 203.0.113.1"), ("--p2p.static=127.0.0.1:9222", "--p2p.static: multiaddr"),
    ("--p2p.static=/ip4/127.0.0.1/tcp/9222", "has no /p2p/PEER-ID"), ("--p2p.advertise.ip=x", "--p2p.advertise.ip"),
    ("--p2p.unsafe-block-signer=0x12", "--p2p.unsafe-block-signer"), ("--p2p.unsafe-block-signer=", "the unsafe block signer of this chain is not known"),
    ("--l1-rpc=nonsense", "--l1-rpc"), ("--l1-rpc=http://a:1/c4n4ry --l1-rpc=http://a:1/c4n4ry", "given twice"), ("--clock-source=nonsense", "--clock-source"), ("--p2p.gossip.mesh.lo=20", "lo <= d <= dhi"), ("--p2p.ban.duration=x", "--p2p.ban.duration"),
    ("--no-such-flag", "--no-such-flag"), ("--network=nowhere", "nowhere")])
def test_bad_input(stack, tmp_path, flag, says):
    (tmp_path / "short").write_text("abcdef")
    s = stack(blocks=1, block_time=0)
    key = flag.split("=")[0]
    flags = [f for f in s.flags(GOSSIP) if not f.startswith(key + "=") and not (key == "--network" and f.startswith("--rollup-config"))]
    code, said = run(GOSSIP, *flags, *([] if flag.endswith("=") else flag.format(tmp=tmp_path).split()))
    assert code != 0 and says in said and len(said.strip().splitlines()) <= 3, said
    assert "c4n4ry" not in said


def test_a_broken_file_of_bans_is_named(stack, tmp_path):
    s = stack(blocks=1, block_time=0)
    (s.dir / "p2p").mkdir()
    (s.dir / "p2p/p2p_bans.json").write_text("{")
    code, said = run(GOSSIP, *s.flags(GOSSIP))
    assert code == 2 and "p2p_bans.json" in said, said


def test_port_taken_and_the_key_is_its_owners_alone(stack):
    s = stack(blocks=1, block_time=0)
    port = free_port()
    flags = [f for f in s.flags(GOSSIP) if not f.startswith("--p2p.listen.tcp")] + [f"--p2p.listen.tcp={port}"]
    s.processes[GOSSIP] = p = type(s.devnet)(GOSSIP, flags, s.dir).start()
    s.wait("alive", lambda: s.get(GOSSIP, "/livez")[0] == 200)
    key = (s.dir / "p2p/p2p_priv.txt")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text().strip() not in p.log.read_text() + s.get(GOSSIP, "/metrics")[1]
    code, said = run(GOSSIP, *[f for f in flags if "addr" not in f], "--grpc.addr=127.0.0.1:0", "--http.addr=127.0.0.1:0")
    assert code == 1 and f"cannot listen on 127.0.0.1:{port}" in said, said


def test_it_ends_in_time_although_every_clock_source_hangs(stack):
    s = stack(blocks=1, block_time=0, sources=3)
    for node in ("cl", 0, 1, 2):
        s.ctl("fault", node=node, hang=True)
    clocks = [f"--clock-source={u}" for u in (s.endpoints["cl"], *s.endpoints["sources"])]
    s.processes[GOSSIP] = p = Process(GOSSIP, s.flags(GOSSIP, extra=clocks), s.dir).start()
    s.wait("alive", lambda: s.get(GOSSIP, "/livez")[0] == 200)
    s.wait("the first is asked", lambda: s.stats()["nodes"]["cl"]["requests"] > 0)
    assert p.stop() == 0, p.tail()
