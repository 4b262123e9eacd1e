"""From anything to the tip: --sync-start on op-geth, with and without an EL peer, from empty, from an old data directory, and after a long stop.

The old directory is `half_way`, at block 1,000 of a chain of HISTORY blocks: HISTORY=6000 makes it 5,000 blocks old.
"""
import json
import threading

import pytest
from conftest import HISTORY
from harness.nodes import Geth
from harness.procs import wait_for

ZERO = "0x" + "00" * 32
PEERS = {"maxpeers": 5}


def flags(mode, patience=60):
    return [f"--sync-start={mode}", f"--sync-start.patience={patience}"]


class Watch(threading.Thread):
    """Samples `towline status`."""

    def __init__(self, tow):
        super().__init__(daemon=True)
        self.tow, self.seen, self._over = tow, [], threading.Event()
        self.start()

    def run(self):
        while not self._over.wait(0.2):
            try:
                self.seen.append(self.tow.towline.tow())
            except Exception:  # noqa: BLE001 not up yet, or stopped
                pass

    def stop(self):
        self._over.set()
        self.join(30)
        return self.seen


def actions(tow):
    return [d["action"] for d in tow.towline.decisions()]


def wait_tip(tow, net):
    seconds = tow.wait_tip()
    wait_for("AT_TIP", lambda: tow.towline.state() == "AT_TIP", 0.2, tow.towline.procs())
    assert not tow.differing_heights()
    state = tow.towline.dir / "data" / "state.json"
    finalized = wait_for("a confirmed finalized block", lambda: json.loads(state.read_text()).get("confirmed_finalized"), 0.2, tow.towline.procs())
    assert net.el.block(finalized["number"])["hash"] == finalized["hash"], "what was confirmed as final is the source's"
    return seconds


def check_el_sync(tow, seen, began):
    """Checks that the EL got nearly no payloads and no label before VALID, and that the state was not AT_TIP before."""
    updates, payloads = tow.trace.records("forkchoice"), tow.trace.records("newPayload")
    first_valid = next(i for i, r in enumerate(updates) if r["status"] == "VALID")
    assert first_valid > 0 and all(r["status"] == "SYNCING" for r in updates[:first_valid])
    assert all(r["safe"] == r["finalized"] == ZERO for r in updates[: first_valid + 1]), "a label before VALID"
    height = tow.el.height()
    valid = [r for r in payloads if r["status"] == "VALID"]
    assert len(valid) < (height - began) / 2, f"{len(valid)} of {height - began} blocks came as payloads: the EL did not sync by itself"
    assert "el_synced" in actions(tow) and "el_sync_stalled" not in actions(tow), tow.explain()
    synced_at = updates[first_valid]["t"]
    during = [t for t in seen if t["state"] == "TOW_STATE_EL_SYNCING"]
    assert during, "status never said that the EL syncs"
    assert all(t["reason_code"] == "el_syncing" and not t.get("ready") and t["start"]["way"] == "elsync" for t in during)
    states = [t["state"] for t in seen]
    assert "TOW_STATE_AT_TIP" not in states[: len(states) - states[::-1].index("TOW_STATE_EL_SYNCING")], "AT_TIP before the EL had synced"
    return synced_at - updates[0]["t"], len(valid)


def test_empty_with_a_peer(make_tow, net):
    tow = make_tow([net.cl_url, net.el_url], geth=PEERS, admin=True, coordinator_flags=flags("elsync"))
    tow.geth.add_peer(net.geth)
    watch = Watch(tow)
    tow.start()
    seconds = wait_tip(tow, net)
    took, payloads = check_el_sync(tow, watch.stop(), 0)
    assert any("it has 1 peer(s)" in t["reason"] for t in watch.seen)
    print(f"{tow.el.height()} blocks: the EL synced by itself in {took:.1f} s, {payloads} came as payloads, labels after {seconds:.1f} s")


@pytest.mark.parametrize("syncmode", ["full", "snap"])
def test_old_data_directory_with_a_peer(make_tow, net, half_way, syncmode):
    """op-geth in snap mode executes like one in full mode once it has a state."""
    tow = make_tow([net.cl_url, net.el_url], copy_of=half_way, geth={**PEERS, "syncmode": syncmode}, admin=True, coordinator_flags=flags("elsync"))
    tow.geth.add_peer(net.geth)
    watch = Watch(tow)
    tow.start()
    seconds = wait_tip(tow, net)
    took, payloads = check_el_sync(tow, watch.stop(), 1000)
    print(f"{tow.el.height() - 1000} blocks: synced by itself in {took:.1f} s, {payloads} came as payloads, labels after {seconds:.1f} s")


def test_without_a_peer(make_tow, net):
    """Without a peer. Full mode: Towline says so and imports blocks. Snap mode: the EL executes nothing, so an operator is asked for, with correct advice."""
    sources = [net.cl_url, net.el_url]
    full = make_tow(sources, "full", admin=True, coordinator_flags=flags("elsync", 5)).start()
    snap = make_tow(sources, "snap", geth={"syncmode": "snap"}, coordinator_flags=flags("auto", 5)).start()
    print(f"imported after {wait_tip(full, net):.1f} s")
    assert actions(full).count("el_sync_stalled") == 1 and "el_synced" not in actions(full)
    why = [d["reason"] for d in full.towline.decisions() if d["action"] == "sync_start"]
    assert why[0].startswith("elsync: ") and why[1].startswith("import: the EL does not sync by itself (it has no peers)"), why

    wait_for("an operator is asked for", lambda: snap.towline.state() == "NEEDS_OPERATOR", 0.5, snap.towline.procs())
    said = snap.towline.tow()
    assert said["reason_code"] == "el_sync_stalled" and "restart op-geth with --syncmode=full" in said["reason"], said
    assert snap.el.height() == 0
    snap.kill_geth()
    argv = snap.geth.proc.argv
    argv[argv.index("--syncmode=snap")] = "--syncmode=full"
    snap.restart_geth()
    print(f"after the restart that it asks for: {wait_tip(snap, net):.1f} s")


def test_snapshot(make_tow, net, half_way):
    """Nothing is imported into an empty EL; with a snapshot in its data directory the tow goes on by itself."""
    tow = make_tow([net.cl_url, net.el_url], coordinator_flags=flags("snapshot")).start()
    wait_for("a snapshot is waited for", lambda: tow.towline.tow()["reason_code"] == "waiting_for_snapshot", 0.2, tow.towline.procs())
    assert not tow.trace.records("newPayload") and tow.el.height() == 0
    tow.kill_geth()
    tow.geth = Geth("local-geth", tow.dir / "restored", net.genesis, jwt_file=tow.geth.jwt_file, copy_of=half_way)
    tow.proxy.set_upstream(tow.geth.engine_url)
    tow.geth.start()
    tow.trace.mark("engine restarted", latest=tow.el.ref("latest")[1], lost=0)
    tow.proxy.open()
    print(f"tip after {wait_tip(tow, net):.1f} s")
    assert min(r["number"] for r in tow.trace.records("newPayload")) == 1001


def test_stopped_for_long(make_tow, net, half_way):
    """Towline and its EL were at the tip at block 1,000, and were off while the chain went on: auto imports the rest."""
    source = Geth("source", half_way.parent / "stopped-source", net.genesis, copy_of=half_way).start()
    tow = make_tow([source.url]).start()
    try:
        wait_for("the tip of then, with labels", lambda: tow.el.height() == 1000 and tow.el.ref("finalized"), 0.2, tow.towline.procs())
    finally:
        source.stop()
    tow.towline.stop()
    tow.geth.stop()
    missed = net.el.height() - 1000
    fetcher = tow.towline.fetcher.proc
    fetcher.argv = [a for a in fetcher.argv if not a.startswith("--endpoint=")] + [f"--endpoint={u}" for u in (net.cl_url, net.el_url)]
    tow.geth.start()
    tow.start()
    seconds = wait_tip(tow, net)
    assert missed >= HISTORY - 1000
    why = [d["reason"] for d in tow.towline.decisions() if d["action"] == "sync_start"]
    assert len(why) == 1 and why[0].startswith("import: "), why
    tow.check()
    print(f"stopped for {missed} blocks: tip after {seconds:.1f} s")
