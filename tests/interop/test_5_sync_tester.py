"""op-sync-tester as the local client: the engine URL has a path and a query, no JWT is asked for, and few methods exist."""
import time
import uuid

import pytest
from harness.engine_trace import EngineProxy, EngineTrace
from harness.nodes import SyncTester
from harness.procs import free_port, wait_for
from harness.rpc import Rpc
from harness.towline import Towline


@pytest.fixture(scope="module")
def sync_tester(work, net):
    directory = work / "sync-tester"
    directory.mkdir()
    tester = SyncTester(directory, net.el_url).start()
    yield tester
    tester.proc.stop()


@pytest.mark.parametrize("start", [(100, 90, 80), (0, 0, 0), (60, 90, 80)], ids=["behind", "genesis", "snapshot"])
def test_SyncTesterExtEL(work, net, sync_tester, start):
    """The acceptance test of that name (5.): each start follows to the tip. `snapshot`: latest lies below finalized."""
    directory = work / f"sync-tester-{start[0]}"
    session = sync_tester.session(str(uuid.uuid4()), *start)
    path = session.split(str(sync_tester.port), 1)[1]
    trace = EngineTrace()
    proxy = EngineProxy(session, free_port(), trace)
    engine = Rpc(session)
    directory.mkdir()
    jwt = directory / "jwt.hex"
    jwt.write_text("11" * 32)
    towline = Towline(directory, net.rollup, [net.cl_url, net.el_url], proxy.url + path, jwt)
    try:
        towline.start()

        def followed():
            head = engine.ref("latest")
            safe, finalized = engine.ref("safe"), engine.ref("finalized")
            return (head[0] >= net.el.height() - 2 and net.el.ref(head[0]) == head and safe[0] > 1000 and net.el.ref(safe[0]) == safe
                    and finalized[0] > 1000 and net.el.ref(finalized[0]) == finalized)

        began = time.monotonic()
        wait_for("the tip", followed, 0.2, towline.procs())
        print(f"from {start} to {engine.height()} in {time.monotonic() - began:.1f} s")
        known = {h: n for n, h in net.el.hashes(0, max(start)).items()}
        problems = trace.problems(known)
        assert not problems, "\n".join(problems[:10])
        heights = sorted({r["number"] for r in trace.records("newPayload")})
        assert heights[0] == start[0] + 1 and heights == list(range(heights[0], heights[-1] + 1))
        if start[0] < start[2]:
            for r in trace.records("forkchoice"):
                if known.get(r["head"], 1 << 60) < start[2]:
                    assert int(r["safe"], 16) == int(r["finalized"], 16) == 0, f"labels below the snapshot's finalized: {r}"
    finally:
        towline.stop()
        proxy.stop()
