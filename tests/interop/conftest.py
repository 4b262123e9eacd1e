"""Shared fixtures: one main chain with history, towed clients as templates, and two special chains that grow in the background."""
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness.devnet import Devnet  # noqa: E402
from harness.nodes import ROOT, Geth  # noqa: E402
from harness.payload import EngineApi, fetch_blocks, read_rollup  # noqa: E402
from harness.procs import HANG_S, wait_for  # noqa: E402
from harness.tow import Timeline, Tow  # noqa: E402

HISTORY = int(os.environ.get("HISTORY") or 2000)
SEED = int(os.environ.get("TEST_SEED") or int(time.time()))


def pytest_report_header():
    return f"towline seed: TEST_SEED={SEED}"


@pytest.fixture(scope="session")
def work():
    """A fresh directory for all files of the run: build/interop-run."""
    directory = Path(os.environ.get("INTEROP_DIR") or ROOT / "build/interop-run")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


@pytest.fixture(scope="session")
def net(work):
    """The main chain: a history with transactions in its blocks, then one block a second."""
    net = Devnet(work / "net", history_s=HISTORY, per_block=8, tip_rate=5.0)
    try:
        yield net.start()
    finally:
        net.stop()


@pytest.fixture(scope="session")
def prefix(net):
    """The first 1,000 blocks of the main chain, with raw transactions."""
    return fetch_blocks(net.el, 1, 1000)


@pytest.fixture(scope="session")
def half_way(work, net, prefix):
    """The data directory of a client at block 1,000, safe 990, finalized 980."""
    geth = Geth("half-way", work / "half-way", net.genesis).start()
    api = EngineApi(geth.engine, read_rollup(net.rollup))
    api.feed(prefix)
    api.forkchoice(*(prefix[n - 1][0]["hash"] for n in (1000, 990, 980)))
    geth.stop()
    return geth.data


@pytest.fixture
def make_tow(request, work, net):
    """make_tow(sources, ...) -> Tow, stopped at the end of the test."""
    made = []

    def make(sources, name="tow", **options):
        tow = Tow(work / request.node.name.replace("[", "-").replace("]", "") / name, net, options.pop("source", net.el), sources, **options)
        made.append(tow)
        return tow

    yield make
    for tow in made:
        tow.stop()


class Towed:
    """A client that was towed from genesis to the tip and then watched for a while."""

    def __init__(self, tow, seconds, samples):
        self.tow, self.catch_up_s, self.samples = tow, seconds, samples


@pytest.fixture(scope="module")
def towed(work, net):
    """A fresh op-geth towed from genesis (CL for heads, EL for bodies) to the tip, then watched for 105 blocks."""
    tow = Tow(work / "towed", net, net.el, [net.cl_url, net.el_url]).start()
    try:
        seconds = tow.wait_tip()
        first = tow.el.height()
        timeline = Timeline(tow)
        wait_for("105 more blocks", lambda: tow.el.height() >= first + 105, 0.5)
        there = {t: net.el.height(t) for t in ("latest", "safe", "finalized")}
        wait_for("what the source had then", lambda: all(tow.el.height(t) >= n for t, n in there.items()), 0.5)
        time.sleep(2 * timeline.every)  # so that the last sample shows it, too
        yield Towed(tow, seconds, timeline.stop())
    finally:
        tow.stop()


class Background:
    """Starts a slow task in a thread; get() waits for it and raises its exception. stop() ends what it made."""

    def __init__(self, start, stop):
        self._stop = stop
        self._value = self._error = None

        def run():
            try:
                self._value = start()
            except BaseException as e:  # noqa: BLE001 handed to the test
                self._error = e

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def get(self):
        self._thread.join(HANG_S)
        assert not self._thread.is_alive(), f"still starting after {HANG_S} s"
        if self._error:
            raise self._error
        return self._value

    def stop(self):
        if self._stop:
            self._stop()
        self._stop = None


# The special chains that grow, by the name of their fixture.
GROWING = {}


@pytest.fixture(scope="session")
def fork_chain(work):
    """A chain from Bedrock through every fork to Jovian, one every 15 s, and a client towed along it from before the first activation."""
    net = Devnet(work / "forks", fork_every_s=15, tip_rate=3.0)
    tows = []

    def start():
        net.start(wait=False)
        wait_for("the first blocks", lambda: net.el.height() >= 1, procs=net.procs())
        tows.append(Tow(work / "forks/live", net, net.el, [net.cl_url, net.el_url]).start())
        return net, tows[0]

    def stop():
        for tow in tows:
            tow.stop()
        net.stop()

    GROWING["fork_chain"] = Background(start, stop)
    yield GROWING["fork_chain"]
    GROWING["fork_chain"].stop()


@pytest.fixture(scope="session")
def deep_reorg_chain(work):
    """A chain whose L1 finalizes late, so that a deep L1 reorg takes safe blocks away."""
    net = Devnet(work / "deep-reorg", l1_block_time=1, l1_epoch=24, tip_rate=1.0, mixed_mining=False)

    def start():
        net.start(wait=False)
        return net

    GROWING["deep_reorg_chain"] = Background(start, net.stop)
    yield GROWING["deep_reorg_chain"]
    GROWING["deep_reorg_chain"].stop()


def pytest_runtest_teardown(item, nextitem):
    """A special chain costs much CPU time while it grows, so it ends with the last test that needs it."""
    left = item.session.items[item.session.items.index(item) + 1:] if nextitem else []
    for name, chain in GROWING.items():
        if name in item.fixturenames and not any(name in later.fixturenames for later in left):
            chain.stop()


@pytest.fixture(scope="session", autouse=True)
def grow_in_the_background(request):
    """The special chains need minutes of real time, so they start as soon as the main chain is up, if a test of this run needs them."""
    wanted = {name for item in request.session.items for name in item.fixturenames}
    if "net" in wanted and wanted & {"fork_chain", "deep_reorg_chain"}:
        request.getfixturevalue("net")
    for name in ("fork_chain", "deep_reorg_chain"):
        if name in wanted:
            request.getfixturevalue(name)
