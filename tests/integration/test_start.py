"""--sync-start: an EL that syncs by itself, that has no peers, that executes nothing, and one that waits for a snapshot."""
import json

import pytest

ZERO = "0x" + "00" * 32


def status(s):
    """(state, reason code, reason)"""
    answer = s.get("sync-coordinator", "/readyz")
    body = json.loads(answer[1])
    return answer[0], body.get("code"), body.get("reason", ""), body.get("state")


def begin(stack, mode, patience=60, peers=0, **devnet):
    s = stack(**{"blocks": 2000, **devnet})
    if peers:
        s.ctl("el_peers", blocks_per_s=peers)
    return s.start(coordinator_extra=[f"--sync-start={mode}", f"--sync-start.patience={patience}"])


def is_syncing(s):
    code, reason_code, _, state = status(s)
    return state == "EL_SYNCING" and reason_code == "el_syncing" and code == 503


def check_labels(s):
    """Checks that no label was set before the EL said VALID."""
    updates = [r for r in s.records() if r["kind"] == "forkchoice"]
    first = next(i for i, r in enumerate(updates) if r["status"] == "VALID")
    assert first > 0, "the EL did not sync"
    assert all(r["safe"] == r["finalized"] == ZERO for r in updates[: first + 1])


@pytest.mark.parametrize("profile", ["op-geth", "op-reth"])
def test_el_syncs_by_itself(stack, profile):
    s = begin(stack, "elsync", peers=500, el_profile=profile)
    s.wait("it is said", lambda: is_syncing(s))
    s.wait_tip()
    check_labels(s)
    valid = [r for r in s.records() if r["kind"] == "newPayload" and r["status"] == "VALID"]
    assert len(valid) < 500, f"{len(valid)} payloads"
    s.wait("ready", lambda: s.get("sync-coordinator", "/readyz")[0] == 200)
    s.wait_same_head()


@pytest.mark.parametrize("service", ["sync-coordinator", "engine-driver"])
def test_killed_while_the_el_syncs(stack, service):
    s = begin(stack, "elsync", peers=100)
    s.wait("the EL syncs", lambda: is_syncing(s) and s.stats()["el"]["head"]["number"] > 100)
    s.processes[service].kill()
    s.ctl("el_peers", blocks_per_s=500)
    s.processes[service].start()
    s.wait_tip()
    check_labels(s)
    assert len([r for r in s.records() if r["kind"] == "newPayload" and r["status"] == "VALID"]) < 1000
    s.wait_same_head()


def test_without_peers_blocks_are_imported(stack):
    s = begin(stack, "elsync", patience=3, blocks=500)
    s.wait("it is said", lambda: is_syncing(s))
    s.wait_tip()
    log = s.processes["sync-coordinator"].log.read_text()
    assert "stood still for 3 s: it has no peers" in log and "action=sync_start" in log.replace('"', ""), log[-3000:]
    s.wait_same_head()


def test_an_el_that_executes_nothing_asks_for_an_operator_until_it_has_peers(stack):
    s = begin(stack, "auto", patience=3, blocks=500, el_snap="true")
    s.wait("an operator is asked for", lambda: status(s)[1] == "el_sync_stalled" and status(s)[3] == "NEEDS_OPERATOR")
    assert "restart op-geth with --syncmode=full" in status(s)[2]
    assert s.stats()["el"]["head"]["number"] == 0
    s.ctl("el_peers", blocks_per_s=500)
    s.wait_tip()
    check_labels(s)
    s.wait_same_head()


def test_a_snapshot_is_waited_for(stack):
    s = begin(stack, "snapshot", blocks=300)
    s.wait("it is said", lambda: status(s)[1] == "waiting_for_snapshot")
    s.wait("more blocks", lambda: s.stats()["chain"]["head"]["number"] >= 303)
    assert not s.records() and status(s)[1] == "waiting_for_snapshot"


def test_import_is_as_before(stack):
    s = begin(stack, "import", blocks=500, peers=500)
    s.wait_tip()
    assert len([r for r in s.records() if r["kind"] == "newPayload" and r["status"] == "VALID"]) >= 500
    s.wait_same_head()
