#!/usr/bin/env python3
"""Serial following, what a simple follower does: header, body, newPayload, forkchoice update, one block after the other.

    serial.py SOURCE ENGINE JWT_FILE ROLLUP [LAST]      follows to block LAST, or to the source's head at the start
"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/interop"))
from harness.payload import EngineApi  # noqa: E402
from harness.rpc import Rpc, read_secret  # noqa: E402


def follow(source, engine, last=None):
    """Feeds the source's blocks to the engine up to `last`; returns their number."""
    number = engine.rpc.height() + 1
    first = number
    last = source.height() if last is None else last
    while number <= last:
        header = source.block(number)
        block = source.call("eth_getBlockByHash", header["hash"], True)
        raw = source.batch([("eth_getRawTransactionByBlockHashAndIndex", [header["hash"], hex(i)]) for i in range(len(block["transactions"]))])
        engine.new_payload(block, raw)
        engine.forkchoice(header["hash"])
        number += 1
    return number - first


if __name__ == "__main__":
    rollup = json.loads(Path(sys.argv[4]).read_text())
    count = follow(Rpc(sys.argv[1]), EngineApi(Rpc(sys.argv[2], read_secret(sys.argv[3])), rollup), int(sys.argv[5]) if len(sys.argv) > 5 else None)
    print(f"{count} blocks")
