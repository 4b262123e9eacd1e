"""One of several trust groups lies about its chain or its labels: it is not believed, and following goes on."""
import json
import subprocess
import time

import pytest
from stack import BIN, HANG_S, Process, fake_clock, http, set_clock


def groups(*urls):
    """A trust group for each URL, the first is the best."""
    return [f"{u},group=g{i}" for i, u in enumerate(urls)]


def readyz(s):
    status, text = s.get("sync-coordinator", "/readyz")
    return status, json.loads(text)["code"]


def endpoints(s):
    address = f"127.0.0.1:{s.ports['sync-coordinator'][0]}"
    run = subprocess.run([BIN / "towline", "endpoints", "--sync-coordinator", address], capture_output=True, text=True, timeout=HANG_S, check=True)
    return run.stdout


def follows(s, blocks=6, honest=1, after=0):
    """Checks that the client follows the chain of an honest source for this many blocks, with labels that move. `after`: the number of earlier calls to ignore."""
    begin = s.wait_tip()

    def further():
        now = s.stats()["el"]
        return all(now[label]["number"] >= begin["el"][label]["number"] + blocks for label in ("head", "safe", "finalized"))

    s.wait(f"{blocks} blocks more", further)
    imported = {r["hash"]: r["number"] for r in s.records() if r["kind"] == "newPayload"}
    labels = {r[label] for r in s.records()[after:] if r["kind"] == "forkchoice" for label in ("safe", "finalized")} & set(imported)
    calls = [{"jsonrpc": "2.0", "id": n, "method": "eth_getBlockByNumber", "params": [hex(n), False]} for n in {imported[h] for h in labels}]
    chain = {a["result"]["hash"] for a in json.loads(http(s.endpoints["sources"][honest], json.dumps(calls).encode())[1])}
    assert labels <= chain, f"safe or final, and not of the honest chain: {[(imported[h], h) for h in labels - chain]}"


def has(s, source, block):
    """Whether a source has a block."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByHash", "params": [block["hash"], False]}
    return json.loads(http(s.endpoints["sources"][source], json.dumps(call).encode())[1])["result"] is not None


# The lies: a branch of its own that is safe and final at once; the true chain with its newest block safe and final; a chain that stands still; heads that
# nobody has.
BRANCH = {"cmd": "fork", "depth": 40, "safe_lag": 0, "finalized_lag": 0}
LABELS = {"cmd": "fork", "depth": 0, "safe_lag": 0, "finalized_lag": 0}
FROZEN = {"cmd": "fork", "depth": 0, "grows": False}
HEADS = {"cmd": "fault", "lie": "head"}


@pytest.mark.parametrize("lie", [BRANCH, LABELS, FROZEN, HEADS], ids=["branch", "labels", "frozen", "heads"])
@pytest.mark.parametrize("place", [0, 2], ids=["first", "last"])
def test_one_lying_source_of_three(stack, lie, place):
    s = stack(blocks=120, sources=3)
    command = dict(lie)
    s.ctl(command.pop("cmd"), node=place, **command)
    s.start(endpoints=groups(*s.endpoints["sources"]))
    follows(s)
    s.wait("ready", lambda: readyz(s)[0] == 200)
    s.check_trace()


def test_the_lying_source_is_the_only_cl(stack):
    s = stack(blocks=120, sources=2)
    s.ctl("fork", node="cl", depth=40, safe_lag=0, finalized_lag=0)
    s.start(endpoints=groups(s.endpoints["cl"], *s.endpoints["sources"]))
    follows(s)
    assert readyz(s)[0] == 200
    s.check_trace()


def test_the_lying_source_is_the_only_one_heard_at_first(stack):
    s = stack(blocks=120, sources=3)
    s.ctl("fork", node=0, depth=40, safe_lag=0, finalized_lag=0)
    for node in (1, 2):
        s.ctl("fault", node=node, hang=True)
    s.start(endpoints=groups(*s.endpoints["sources"]))
    s.wait("its head", lambda: s.stats()["el"]["head"]["number"] > 100)
    assert not s.stats()["el"]["safe"] and not s.stats()["el"]["finalized"]
    for node in (1, 2):
        s.ctl("fault", node=node)
    follows(s)
    s.check_trace()


def test_one_that_called_its_head_final_and_a_reorg(stack):
    s = stack(blocks=120, sources=3)
    s.start(endpoints=groups(*s.endpoints["sources"]))
    s.wait_tip()
    s.ctl("fork", node=0, depth=0, safe_lag=0, finalized_lag=0)
    follows(s, blocks=4)
    s.ctl("reorg", depth=5)
    follows(s)
    assert readyz(s)[0] == 200
    s.check_trace()


@pytest.mark.parametrize("gossip, lying", [(False, 1), (True, 1), (True, 0)], ids=["alone", "gossip", "gossip against the first"])
def test_two_that_disagree_move_no_label(stack, gossip, lying):
    s = stack(blocks=120, block_time=1, sources=2)
    s.start(endpoints=groups(*s.endpoints["sources"]), gossip=gossip)
    s.wait_tip()
    both_have = s.ctl("fork", node=lying, depth=8, safe_lag=0, finalized_lag=0)["chain"]["head"]["number"] - 6
    s.wait("it is said", lambda: readyz(s) == ((200, "sources_disagree") if gossip else (503, "sources_disagree")))
    assert "disagree" in endpoints(s), endpoints(s)
    s.wait("the honest one calls final what the other has not", lambda: s.stats()["chain"]["finalized"]["number"] > both_have + 2)
    s.wait("the head follows", lambda: (n := s.stats())["chain"]["head"]["number"] - n["el"]["head"]["number"] <= 2)
    now = s.stats()
    s.wait("the head on the honest chain", lambda: has(s, 1 - lying, s.stats()["el"]["head"]))
    for _ in range(10):
        s.wait("a block more", lambda n=s.stats()["el"]["head"]["number"]: s.stats()["el"]["head"]["number"] > n)
        assert has(s, 1 - lying, s.stats()["el"]["head"]), "the head went to the branch of the lying source"
    assert now["el"]["finalized"]["number"] <= now["el"]["safe"]["number"] <= both_have
    s.ctl("fork", node=lying, heal=True)
    follows(s, honest=1 - lying)
    s.wait("all is well", lambda: readyz(s) == (200, "at_tip"))
    s.check_trace()


@pytest.mark.parametrize("gossip", [False, True], ids=["alone", "gossip"])
def test_of_two_one_is_away(stack, gossip):
    s = stack(blocks=120, block_time=1, sources=2)
    s.start(endpoints=groups(*s.endpoints["sources"]), gossip=gossip, fetcher_extra=["--request-timeout=1s"])
    s.wait_tip()
    s.ctl("fault", node=0, hang=True)
    s.wait("it is said", lambda: readyz(s) == (200, "quorum_lost"))
    before = s.stats()["el"]
    s.wait("blocks more", lambda: s.stats()["el"]["head"]["number"] >= before["head"]["number"] + 6)
    if gossip:
        s.wait("safe follows what is left along the chain that gossip names", lambda: s.stats()["el"]["safe"]["number"] > before["safe"]["number"])
    now = s.stats()["el"]
    assert now["finalized"] == before["finalized"] and (gossip or now["safe"] == before["safe"])
    s.ctl("fault", node=0)
    s.wait("all is well", lambda: readyz(s) == (200, "at_tip"))
    follows(s)
    s.check_trace()


@pytest.mark.parametrize("flags, says", [
    (["--quorum.finalized=3"], "--quorum.finalized: 3 groups are asked for, and 2 are configured"),
    (["--endpoint=group=x"], "group=NAME belongs behind a URL"),
], ids=["quorum", "group"])
def test_what_cannot_be_is_one_line_and_exit_code_2(stack, flags, says):
    s = stack(blocks=5, sources=2)
    of_service = s.flags("remote-fetcher", groups(*s.endpoints["sources"]))
    flags = [*(f for f in of_service if "endpoint" not in flags[0] or "endpoint" not in f), *flags]
    run = subprocess.run([BIN / "remote-fetcher", *flags], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert run.returncode == 2 and says in run.stderr and len(run.stderr.splitlines()) == 1, run


def test_sources_of_one_group_are_said_to_be_one_vote(stack):
    s = stack(blocks=20, sources=3)
    s.start(endpoints=s.endpoints["sources"])
    s.wait("it is said", lambda: "all endpoints are of one trust group" in s.processes["remote-fetcher"].log.read_text())


@pytest.mark.parametrize("behind_s", [0, 3600], ids=["at the tip", "an hour behind"])
def test_no_block_is_safe_or_final_before_its_time(stack, behind_s):
    """A single source, which is believed, calls its newest block safe and final. Far behind the tip labels move, but nothing is confirmed for good."""
    blocks = 120
    s = stack(blocks=blocks, block_time=1, sources=1, genesis_time=int(time.time()) - blocks - behind_s)
    s.ctl("fork", node=0, depth=0, safe_lag=0, finalized_lag=0)
    s.start(endpoints=s.endpoints["sources"], env={"TOWLINE_SAFE_MIN_AGE": "20s", "TOWLINE_FINALITY_MIN_AGE": "40s"}, env_of=["engine-driver"])
    genesis = json.loads(open(s.endpoints["rollup"], encoding="ascii").read())["genesis"]["l2_time"]
    begin = s.wait("final blocks", lambda: s.stats()["el"]["finalized"])["number"]

    def five_more():
        el = s.stats()["el"]
        now = time.time()
        assert now - genesis - el["safe"]["number"] >= 20 and now - genesis - el["finalized"]["number"] >= 40, el
        return el["finalized"]["number"] >= begin + 5

    s.wait("five more", five_more)
    state = json.loads((s.dir / "data" / "state.json").read_text())
    assert ("confirmed_finalized" in state) == (behind_s == 0)
    s.check_trace()


@pytest.mark.parametrize("sources, lying", [(3, 0), (2, 1)], ids=["of three", "of two"])
def test_a_lying_source_at_the_border_of_a_long_range(stack, sources, lying):
    """A range that is longer than one proof is cut at blocks that most groups have; without a majority, at the ancestors of its own tip."""
    s = stack(blocks=8600, tx_per_block=0, sources=sources)
    s.ctl("fork", node=lying, depth=8500, safe_lag=0, finalized_lag=0)
    s.start(endpoints=groups(*s.endpoints["sources"]))
    if sources == 3:
        follows(s)
    else:
        s.wait("the head of the first", lambda: s.stats()["el"]["head"]["number"] >= 8600)
        assert "from its tip down" in s.processes["remote-fetcher"].log.read_text()
    s.check_trace()


def test_a_change_of_the_replica_is_no_switch_of_branches(stack):
    """Each replica of remote-fetcher votes by itself, with the same configuration; a tow watches one at a time."""
    s = stack(blocks=120, block_time=1, sources=3)
    s.ctl("fork", node=0, depth=40, safe_lag=0, finalized_lag=0)
    endpoints = groups(*s.endpoints["sources"])
    s.start(endpoints=endpoints)
    port = s.ports["remote-fetcher"][0]
    flags = [f for f in s.flags("remote-fetcher", endpoints) if not f.startswith(("--grpc.addr", "--http.addr"))]
    (s.dir / "second").mkdir()
    second = s.processes["second"] = Process("remote-fetcher", [*flags, f"--grpc.addr=127.0.0.2:{port}", "--http.addr=127.0.0.1:0"], s.dir / "second").start()
    for name in ("engine-driver", "sync-coordinator"):
        p = s.processes[name]
        p.stop()
        p.flags = [f.replace(f"dns:///127.0.0.1:{port}", f"ipv4:127.0.0.1:{port},127.0.0.2:{port}") for f in p.flags]
        p.start()
    follows(s)

    def towline(*args):
        return subprocess.run([BIN / "towline", *args], capture_output=True, text=True, timeout=HANG_S, check=False).stdout

    def reorgs():
        said = towline("decisions", "--sync-coordinator", f"127.0.0.1:{s.ports['sync-coordinator'][0]}")
        return [line.split()[1] for line in said.splitlines()].count("reorg")

    before = reorgs()
    for replica, address in ((s.processes["remote-fetcher"], "127.0.0.1"), (second, "127.0.0.2")):
        replica.kill()
        follows(s)
        replica.start()
        s.wait("it is back", lambda a=address: " leads" in towline("endpoints", "--remote-fetcher", f"{a}:{port}"))
    assert reorgs() == before
    s.check_trace()


def test_a_clock_that_is_late_refuses_nobody(stack):
    """Most of three groups have blocks that are in the future for a clock five minutes late."""
    s = stack(blocks=120, block_time=1, sources=3)
    clock, env = fake_clock(s.dir)
    set_clock(clock, "-300")
    s.start(endpoints=groups(*s.endpoints["sources"]), env=env, env_of=["remote-fetcher"])
    follows(s)
    assert "the clock here is late" in s.processes["remote-fetcher"].log.read_text()
    s.check_trace()


def test_a_clock_that_is_late_is_named_where_one_source_says_so(stack):
    s = stack(blocks=120, block_time=1)
    clock, env = fake_clock(s.dir)
    set_clock(clock, "-300")
    s.start(env=env, env_of=["remote-fetcher"])
    s.wait("it is named", lambda: readyz(s) == (503, "clock_skew"))
    assert "the clock here says" in endpoints(s), endpoints(s)
    set_clock(clock, "+0")
    s.wait("the clock is set", lambda: readyz(s) == (200, "at_tip"))


def test_ages_that_contradict_each_other_are_one_line_and_exit_code_2(stack):
    s = stack(blocks=5)
    run = subprocess.run([BIN / "engine-driver", *s.flags("engine-driver"), "--safe.min-age=1m", "--finality.min-age=10s"], capture_output=True, text=True,
                         timeout=HANG_S, check=False)
    assert run.returncode == 2 and "a final block is safe" in run.stderr and len(run.stderr.splitlines()) == 1, run
    run = subprocess.run([BIN / "engine-driver", *(f for f in s.flags("engine-driver") if "admin-rpc" not in f), "--engine.admin-rpc-trust=single-source"],
                         capture_output=True, text=True, timeout=HANG_S, check=False)
    assert run.returncode == 2 and "rewinds need --engine.admin-rpc" in run.stderr and len(run.stderr.splitlines()) == 1, run
