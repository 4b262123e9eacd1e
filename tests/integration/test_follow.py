"""Catching up, following the tip, reorgs, and restarts of everything."""
import json

import pytest
from stack import SERVICES


@pytest.mark.parametrize("profile", ["op-geth", "op-reth"])
def test_catch_up_tip_and_reorg(stack, profile):
    s = stack(blocks=1000, sources=2, el_profile=profile).start()
    at = s.wait_tip()["el"]["head"]["number"]
    s.wait("three more blocks", lambda: s.stats()["el"]["head"]["number"] >= at + 3)
    s.wait("ready", lambda: s.get("sync-coordinator", "/readyz")[0] == 200)
    s.ctl("reorg", depth=5)
    s.wait_same_head()
    s.check_trace()


@pytest.mark.parametrize("service", SERVICES)
def test_kill_9_while_catching_up(stack, service):
    s = stack(blocks=600, el_exec_us=3000).start()
    s.wait("some blocks", lambda: s.stats()["el"]["head"]["number"] >= 60)
    s.processes[service].kill()
    s.processes[service].start()
    s.wait_tip()
    s.wait_same_head()
    s.check_trace()


@pytest.mark.parametrize("profile", ["op-geth", "op-reth"])
def test_execution_client_killed(stack, profile):
    s = stack(blocks=400, el_profile=profile).start()
    s.wait_tip()
    before = s.wait_same_head()["el"]["head"]["number"]
    s.ctl("kill")
    # Taken from the trace: when the command is answered the client may have been led back already.
    after = next(r for r in s.records() if r.get("what") == "engine restarted")
    assert (after["latest"] < before and after["finalized"] is None) == (profile == "op-geth")
    s.ctl("produce", on=True)
    s.wait_tip()
    s.wait_same_head()
    s.check_trace()


def test_deep_reorg_of_the_unsafe_chain(stack):
    s = stack(blocks=400, safe_lag=300, finalized_lag=320).start()
    s.wait_tip()
    s.ctl("produce", on=False)
    s.ctl("reorg", depth=100)
    s.wait_same_head()
    s.check_trace()


@pytest.mark.parametrize("fault", [{"hang": True}, {"disconnect": True}, {"error_rate": 1.0}, {"html": True}, {"error_rate": 0.3}])
def test_faults_of_the_engine(stack, fault):
    """Requests that the EL does not answer lose nothing: the same payloads are sent again when it answers."""
    s = stack(blocks=600, el_exec_us=2000).start()
    s.wait("some blocks", lambda: s.stats()["el"]["head"]["number"] >= 60)
    s.ctl("fault", node="engine", **fault)
    lasting = fault != {"error_rate": 0.3}
    if lasting:
        s.wait("it is told", lambda: json.loads(s.get("sync-coordinator", "/readyz")[1])["code"] != "ready")
        s.wait("and why", lambda: "engine call failed" in s.processes["engine-driver"].log.read_text() or fault == {"hang": True})
        s.ctl("fault", node="engine")
    s.wait_tip()
    s.ctl("fault", node="engine")
    s.wait_same_head()
    s.check_trace()
