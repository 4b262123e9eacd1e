"""The bench's chain: 2,000 Jovian blocks of 35 transfers with 200 bytes of calldata each, built by a real op-geth with payload attributes.

It is built once and kept in build/bench/chain: chain.bin for the replay server, engine.bin with ready Engine API bodies, genesis.json, rollup.json.
"""
import json
import shutil
import struct
import sys
import time

from harness.load import sender, transfer
from harness.nodes import Geth, l2_genesis, rollup_config
from harness.payload import Builder, first_l1_info, new_payload_params, read_rollup

BLOCKS, TRANSACTIONS, SENDERS, GENESIS_TIME = 2000, 35, 200, 1_700_000_000
VERSION = f"v1 {BLOCKS} {TRANSACTIONS}"


def field(data):
    data = data if isinstance(data, bytes) else data.encode()
    return struct.pack("<I", len(data)) + data


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def build(directory):
    """Builds the chain into `directory` unless it is there."""
    stamp = directory / "version"
    if stamp.exists() and stamp.read_text() == VERSION:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    started = time.time()
    (directory / "genesis.json").write_text(json.dumps(l2_genesis(GENESIS_TIME)))
    geth = Geth("builder", directory / "builder", directory / "genesis.json").start()
    try:
        genesis = geth.el.block(0)
        (directory / "rollup.json").write_text(json.dumps(rollup_config("0x" + "11" * 32, genesis["hash"], GENESIS_TIME, 1)))
        rollup = read_rollup(directory / "rollup.json")
        builder, accounts, nonces, count, info = Builder(geth, rollup), [sender(i) for i in range(SENDERS)], [0] * SENDERS, 0, first_l1_info()
        with open(directory / "chain.bin", "wb") as chain, open(directory / "engine.bin", "wb") as engine:
            record(geth.el, 0, rollup, chain, None)
            for n in range(1, BLOCKS + 1):
                transactions = []
                for _ in range(TRANSACTIONS):
                    i = count % SENDERS
                    transactions.append(transfer(accounts[i], nonces[i], count))
                    nonces[i], count = nonces[i] + 1, count + 1
                builder.build(transactions, info)
                info = None
                record(geth.el, n, rollup, chain, engine)
                if n % 200 == 0:
                    print(f"chain: {n} blocks built, {time.time() - started:.0f} s", file=sys.stderr, flush=True)
    finally:
        geth.stop()
    shutil.rmtree(directory / "builder")
    stamp.write_text(VERSION)


def record(el, number, rollup, chain, engine):
    light, full, raw_block, raw_header = el.batch([("eth_getBlockByNumber", [hex(number), False]), ("eth_getBlockByNumber", [hex(number), True]),
                                                   ("debug_getRawBlock", [hex(number)]), ("debug_getRawHeader", [hex(number)])])
    raw = el.batch([("eth_getRawTransactionByBlockHashAndIndex", [light["hash"], hex(i)]) for i in range(len(light["transactions"]))]) if number else []
    for part in (light["hash"], compact(light), compact(full), f'"{raw_block}"', f'"{raw_header}"', str(len(raw)), *(f'"{r}"' for r in raw)):
        chain.write(field(part))
    if engine:
        method, params = new_payload_params(light, raw, rollup)
        engine.write(field(compact({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})) + field(light["hash"]))


def engine_bodies(directory):
    """[(newPayload body, hash)] from block 1 on."""
    data, out, at = (directory / "engine.bin").read_bytes(), [], 0
    fields = []
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        fields.append(data[at + 4:at + 4 + size])
        at += 4 + size
    for body, block_hash in zip(fields[::2], fields[1::2]):
        out.append((body, block_hash.decode()))
    return out
