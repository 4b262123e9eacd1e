"""From genesis to the tip of a real chain, and along it: unsafe, safe and finalized."""
from conftest import HISTORY


def heights(samples, side, label):
    return [s[side][label][0] if s[side][label] else -1 for s in samples]


def test_the_history_has_transactions(net):
    counts = [int(n, 16) for n in net.el.batch([("eth_getBlockTransactionCountByNumber", [hex(n)]) for n in range(1, HISTORY + 1)])]
    # Which blocks have transactions depends on the speed of the machine; without any the tests would prove little.
    assert sum(c > 1 for c in counts) >= 500


def test_from_genesis_to_the_tip(towed):
    """1. Hashes are equal at every height, and the recording of the Engine API shows no fault."""
    towed.tow.check()
    imported = [r for r in towed.tow.trace.records("newPayload") if r["status"] == "VALID"]
    assert {r["number"] for r in imported} >= set(range(1, HISTORY + 1)), "every block came as a payload"
    print(f"{HISTORY} blocks to the tip in {towed.catch_up_s:.1f} s")


def test_follows_all_three_labels_for_105_blocks(towed):
    """The distance in between depends on the machine, so it is only printed."""
    for label in ("latest", "safe", "finalized"):
        local, remote = heights(towed.samples, 1, label), heights(towed.samples, 2, label)
        assert local == sorted(local), f"{label} went back"
        assert local[-1] - local[0] >= 50, f"{label} moved from {local[0]} to {local[-1]} only"
        behind = sorted(max(0, theirs - ours) for ours, theirs in zip(local, remote))
        print(f"{label}: at most {behind[int(len(behind) * 0.95)]} blocks behind in 95% of {len(behind)} looks")


def test_BasicSync(towed):
    """The acceptance test of that name: the safe head follows the source's, by hash."""
    safe = heights(towed.samples, 1, "safe")
    assert safe[-1] > safe[0] > 0
    for _, local, _ in towed.samples[::20]:
        number, block_hash = local["safe"]
        assert towed.tow.source.block(number)["hash"] == block_hash


def test_FinalizedSync(towed):
    """The acceptance test of that name: finalized moves on with the source's, by hash, never back."""
    finalized = heights(towed.samples, 1, "finalized")
    assert finalized == sorted(finalized) and finalized[-1] > finalized[0] > 0
    for _, local, _ in towed.samples[::20]:
        number, block_hash = local["finalized"]
        assert towed.tow.source.block(number)["hash"] == block_hash
        assert number <= local["safe"][0] <= local["latest"][0]


def test_ContinuousSync(towed):
    """The acceptance test of that name: 100 blocks at the tip, one a second, none missed and none twice."""
    latest = heights(towed.samples, 1, "latest")
    assert latest[-1] - latest[0] >= 100
    seen = [r["number"] for r in towed.tow.trace.records("newPayload")]
    tip = [n for n in seen if latest[0] < n <= latest[-1]]
    assert sorted(set(tip)) == list(range(latest[0] + 1, latest[-1] + 1))
    assert len(tip) == len(set(tip)), "no payload at the tip was sent twice"


def test_ready_at_the_tip(towed):
    for service in towed.tow.towline.services:
        status, body = service.get("/readyz")
        assert status == 200, body
    assert towed.tow.towline.state() == "AT_TIP"
