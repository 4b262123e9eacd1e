import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "integration")]

import pytest  # noqa: E402

import row  # noqa: E402
import table  # noqa: E402
from stack import Stack  # noqa: E402

AT_ONCE = int(os.environ.get("DIALECTS_AT_ONCE", "10"))
# A row needs a tenth of a processor to follow the chain. While this many threads wait for each processor only two rows run, so that each gets its share.
CROWDED = 20


def wanted(items):
    return [table.ROWS[i.callspec.params["name"]] for i in items if hasattr(i, "callspec")]


@pytest.fixture(scope="session")
def results(request, tmp_path_factory):
    """A future for each row that is wanted. All rows share one devnet for each kind of chain; they run side by side, because most of their time is spent waiting."""
    rows = wanted(request.session.items)
    nets = {}
    for unknown in {r.unknown_type for r in rows}:
        net = Stack(tmp_path_factory.mktemp("devnet"), blocks=200, block_time=2, **({"unknown_tx_each": 10} if unknown else {}))
        nets[unknown] = (net, {**net.endpoints, "dir": net.dir / "net"})

    changed, running = threading.Condition(), 0

    def run(r):
        nonlocal running
        with changed:
            while running >= 2 and not row.OVER.is_set() and os.getloadavg()[0] > CROWDED * os.cpu_count():
                changed.wait(1)
            running += 1
        try:
            return checked(r)
        finally:
            with changed:
                running -= 1

    def checked(r):
        it = row.Run(r, nets[r.unknown_type][1], tmp_path_factory.mktemp(r.name))
        return it.check(), it.notes

    pool = ThreadPoolExecutor(AT_ONCE)
    yield {r.name: pool.submit(run, r) for r in rows}
    row.OVER.set()
    pool.shutdown(cancel_futures=True)
    for net, _ in nets.values():
        net.close()


def pytest_terminal_summary(terminalreporter):
    """What was measured, row by row: it is worth reading when all is well, too."""
    for kind in ("passed", "failed"):
        for report in terminalreporter.getreports(kind):
            for what, text in report.user_properties:
                if what == "measured":
                    terminalreporter.write_line(f"{kind:7} {text}")
