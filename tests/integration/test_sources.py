"""Sources that lie, fail, hang, or are of another chain."""
import pytest


@pytest.mark.parametrize("lie", ["header", "body"])
def test_one_liar_one_dead_one_honest(stack, lie):
    s = stack(blocks=300, sources=3)
    s.ctl("fault", node=0, lie=lie)
    s.ctl("fault", node=1, disconnect=True)
    s.start()
    s.wait_tip()
    s.wait_same_head()
    s.check_trace()
    assert s.evidence.exists() and s.endpoints["sources"][0].removeprefix("http://") in s.evidence.read_text()


def test_only_liars_import_nothing(stack):
    s = stack(blocks=50, sources=1)
    s.ctl("fault", node=0, lie="body")
    s.start()
    s.wait("asked for blocks", lambda: s.stats()["nodes"]["source0"]["calls"] > 60)
    assert s.stats()["el"]["head"]["number"] == 0
    assert s.get("sync-coordinator", "/readyz")[0] == 503
    s.ctl("fault", node=0)
    s.wait_tip()


@pytest.mark.parametrize("fault", [{"rate_limit": True, "retry_after": 1}, {"html": True}, {"error_rate": 0.25}, {"gaps": True}, {"oversized": True},
                                   {"delay_ms": 300}], ids=lambda f: next(iter(f)))
def test_fault_of_the_preferred_source(stack, fault):
    s = stack(blocks=200, sources=2)
    s.ctl("fault", node=0, **fault)
    s.start()
    s.wait_tip()
    s.ctl("fault", node=0)
    s.wait_same_head()
    s.check_trace()


def test_source_of_another_chain_is_refused(stack):
    s = stack(blocks=100, sources=2)
    s.ctl("fault", node=0, wrong_chain=True)
    s.start()
    s.wait_tip()
    assert "901902" in s.processes["remote-fetcher"].log.read_text()
    s.wait_same_head()


def test_nothing_but_another_chain(stack):
    s = stack(blocks=50, sources=1)
    s.ctl("fault", node=0, wrong_chain=True)
    s.start(endpoints=s.endpoints["sources"])
    s.wait("the refusal is told", lambda: "901902" in s.processes["remote-fetcher"].log.read_text())
    assert s.get("sync-coordinator", "/readyz")[0] == 503
    assert s.stats()["engine"] == {"payloads": 0, "forkchoice_updates": 0}


def test_stops_in_time_with_a_hung_source_and_a_hung_client(stack):
    s = stack(blocks=300, sources=2, el_exec_us=2000).start()
    s.wait("some blocks", lambda: s.stats()["el"]["head"]["number"] >= 32)
    for node in (0, 1, "cl", "engine"):
        s.ctl("fault", node=node, hang=True)
    for p in s.processes.values():
        code = p.stop()
        assert code == 0, f"{p.name}: exit code {code}\n{p.tail()}"
