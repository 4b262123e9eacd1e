"""A block that is confirmed as final is contradicted by most sources: only `towline recover --force` lowers it."""
import json
import subprocess

import pytest
from stack import BIN, HANG_S, Process, http
from test_lying_sources import follows, groups, readyz

LYING, HONEST = 1, (0, 2)


def recover(s, *args):
    """(exit code, the JSON of the one tow)"""
    run = subprocess.run([BIN / "towline", "recover", "--json", *args, "--sync-coordinator", f"127.0.0.1:{s.ports['sync-coordinator'][0]}"],
                         capture_output=True, text=True, timeout=HANG_S, check=False)
    assert run.stdout, run
    return run.returncode, json.loads(run.stdout)["tows"][0]


def recover_when(s, result, *args):
    """The same, once that is the result: on a slow machine a source may be silent now and then, and there is no majority for so long."""
    def done():
        code, said = recover(s, *args)
        return (code, said) if said.get("finality", {}).get("result") == result else None
    return s.wait(f"recover: {result}", done)


def confirmed_finalized(s):
    return json.loads((s.dir / "data" / "state.json").read_text()).get("confirmed_finalized")


def block(s, source, number):
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": [number if number == "latest" else hex(number), False]}
    return json.loads(http(s.endpoints["sources"][source], json.dumps(call).encode())[1])["result"]


def restart(s, service, flags):
    s.processes[service].kill()
    s.processes[service] = Process(service, flags, s.dir).start()


def poisoned(stack, depth=40, admin=True, **flags):
    """The lying source was the only one until a block of its own was final here; now the others are configured, too."""
    s = stack(blocks=300, sources=3, **flags)
    s.ctl("fork", node=LYING, depth=depth, safe_lag=0, finalized_lag=0)
    common = int(block(s, LYING, "latest")["number"], 16)
    while block(s, HONEST[0], common) != block(s, LYING, common):
        common -= 1
    s.start(endpoints=[s.endpoints["sources"][LYING]])
    s.wait("a forged block is final", lambda: (confirmed_finalized(s) or {"number": 0})["number"] > common)
    if not admin:
        restart(s, "engine-driver", [f for f in s.flags("engine-driver") if "admin-rpc" not in f])
    s.processes["remote-fetcher"].kill()
    s.wait("it is not followed any more", lambda: readyz(s)[0] == 503)
    # Blocks that were on their way when it was killed may still become final.
    s.wait("the honest ones have that height", lambda: block(s, HONEST[0], confirmed_finalized(s)["number"] + 5))
    restart(s, "remote-fetcher", s.flags("remote-fetcher", groups(*s.endpoints["sources"])))
    s.wait("diverged", lambda: readyz(s) == (503, "diverged"))
    forged = confirmed_finalized(s)
    assert block(s, HONEST[0], forged["number"])["hash"] != forged["hash"], "the confirmed finalized block is no forged block: the test shows nothing"
    return s, forged, common


@pytest.mark.parametrize("depth", [40, 250], ids=["shallow", "deeper than the client's state"])
def test_a_forged_final_block_is_taken_back(stack, depth):
    s, forged, common = poisoned(stack, depth)
    code, said = recover_when(s, "lower")
    assert code == 4 and "outcome" not in said["finality"], said
    assert confirmed_finalized(s) == forged, "only --force changes anything"
    code, said = recover_when(s, "lower", "--force", "--reason", "the lying source was alone")
    found = said["finality"]
    assert code == 0 and found["outcome"] == "OUTCOME_DONE", said
    assert found["was"] == forged and found["to"]["number"] == common and found["theirs"]["hash"] == block(s, HONEST[0], forged["number"])["hash"], found
    assert [(e["group"], e["block"]["hash"] == forged["hash"]) for e in found["says"]] == [("g0", False), ("g1", True), ("g2", False)], found
    after = len(s.records())
    log = s.processes["engine-driver"].log.read_text()
    assert "the lying source was alone" in log and forged["hash"][:6] in log, "the reason is on record"
    follows(s, honest=HONEST[0], after=after)
    s.wait("all is well", lambda: readyz(s) == (200, "at_tip"))
    s.wait("an honest block is final", lambda: confirmed_finalized(s)["number"] > common)
    assert confirmed_finalized(s)["hash"] == block(s, HONEST[0], confirmed_finalized(s)["number"])["hash"]
    # The old block no longer counts: with one honest source away the other one leads, and not the lying source.
    s.ctl("fault", node=HONEST[1], hang=True)
    begin = s.stats()["el"]["head"]["number"]
    s.wait("blocks more", lambda: s.stats()["el"]["head"]["number"] >= begin + 8)
    head = s.stats()["el"]["head"]
    assert block(s, HONEST[0], head["number"])["hash"] == head["hash"]
    assert recover(s, "--force")[0] == 1, "nothing may be lowered now"


def test_without_a_majority_nothing_is_lowered(stack):
    s, forged, _ = poisoned(stack)
    s.ctl("fault", node=HONEST[1], hang=True)
    code, said = recover(s, "--force")
    assert code == 1 and said["finality"]["result"] == "no_majority" and said["finality"]["says"][2]["silence"], said
    s.ctl("fault", node=HONEST[1])
    # Each source has another block there.
    s.ctl("fork", node=HONEST[1], depth=200)
    code, said = recover(s, "--force")
    assert code == 1 and said["finality"]["result"] == "no_majority", said
    assert confirmed_finalized(s) == forged and s.stats()["el"]["finalized"]["number"] >= forged["number"]
    run = subprocess.run([BIN / "towline", "recover", "--reason", "without --force"], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert run.returncode == 2, run


@pytest.mark.parametrize("profile", ["op-geth", "op-reth"])
def test_a_client_that_is_brought_back_by_hand(stack, profile):
    """Without --engine.admin-rpc the steps are printed, and the tow waits for them."""
    s, forged, common = poisoned(stack, admin=False, el_profile=profile)
    code, said = recover_when(s, "lower", "--force")
    assert code == 4 and said["finality"]["outcome"] == "OUTCOME_NOT_APPLIED", said
    assert confirmed_finalized(s)["number"] == common
    steps = "op-reth stage unwind to-block" if profile == "op-reth" else "debug_setHead"

    def printed():
        return subprocess.run([BIN / "towline", "recover", "--sync-coordinator", f"127.0.0.1:{s.ports['sync-coordinator'][0]}"],
                              capture_output=True, text=True, timeout=HANG_S, check=False).stdout

    # Before each source was asked for the client's final block, only the leader is known to contradict it.
    s.wait("the steps are printed", lambda: steps in printed())
    assert s.stats()["el"]["finalized"]["number"] >= forged["number"] and readyz(s) == (503, "diverged")
    if profile == "op-reth":
        return
    after = len(s.records())
    http(s.endpoints["admin"], json.dumps({"jsonrpc": "2.0", "id": 1, "method": "debug_setHead", "params": [hex(common)]}).encode())
    follows(s, honest=HONEST[0], after=after)
    s.wait("all is well", lambda: readyz(s) == (200, "at_tip"))


def test_a_client_that_is_right_and_a_confirmed_block_that_is_not(stack):
    s = stack(blocks=120, sources=3)
    s.start(endpoints=groups(*s.endpoints["sources"]))
    s.wait_tip()
    s.wait("a final block", lambda: confirmed_finalized(s))
    s.processes["engine-driver"].stop()
    state = s.dir / "data" / "state.json"
    doc = json.loads(state.read_text())
    true = doc["confirmed_finalized"]["hash"]
    doc["confirmed_finalized"]["hash"] = "0x" + "11" * 32
    state.write_text(json.dumps(doc))
    s.processes["engine-driver"].start()
    s.wait("it is said", lambda: readyz(s) == (503, "engine_contradicts_finalized"))
    before = s.stats()["el"]["finalized"]
    code, said = recover(s, "--force", "--reason", "a bad disk")
    assert code == 0 and said["finality"]["to"] == {"number": doc["confirmed_finalized"]["number"], "hash": true}, said
    assert s.stats()["el"]["finalized"]["number"] >= before["number"], "nothing goes back that is right"
    s.wait("all is well", lambda: readyz(s) == (200, "at_tip"))
    follows(s, honest=0)
    s.check_trace()
