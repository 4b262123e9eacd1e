"""The Engine API by hand: payloads out of JSON blocks, forkchoice updates, and blocks built with payload attributes."""
import json

import rlp
from eth_utils import keccak

from .nodes import GAS_LIMIT, SEQUENCER_FEE_VAULT
from .rpc import RpcError

ZERO = "0x" + "00" * 32
PAYLOAD_FIELDS = {"parentHash": "parentHash", "feeRecipient": "miner", "stateRoot": "stateRoot", "receiptsRoot": "receiptsRoot", "logsBloom": "logsBloom",
                  "prevRandao": "mixHash", "blockNumber": "number", "gasLimit": "gasLimit", "gasUsed": "gasUsed", "timestamp": "timestamp",
                  "extraData": "extraData", "baseFeePerGas": "baseFeePerGas", "blockHash": "hash"}


class NotValid(AssertionError):
    def __init__(self, what, answer):
        super().__init__(f"{what}: {answer}")
        self.status = answer.get("status")


def new_payload_params(block, raw, rollup):
    """(method, params) of a block with its raw transactions."""
    t = int(block["timestamp"], 16)
    payload = {k: block[v] for k, v in PAYLOAD_FIELDS.items()} | {"transactions": raw}
    at = lambda fork: rollup.get(fork + "_time") is not None and t >= rollup[fork + "_time"]  # noqa: E731
    if at("canyon"):
        payload["withdrawals"] = []
    if not at("ecotone"):
        return "engine_newPayloadV2", [payload]
    payload |= {"blobGasUsed": block["blobGasUsed"], "excessBlobGas": block["excessBlobGas"]}
    if not at("isthmus"):
        return "engine_newPayloadV3", [payload, [], block["parentBeaconBlockRoot"]]
    payload["withdrawalsRoot"] = block["withdrawalsRoot"]
    return "engine_newPayloadV4", [payload, [], block["parentBeaconBlockRoot"], []]


def fetch_blocks(el, first, last):
    """[(block with full transactions, raw transactions)] of a node."""
    out = []
    for at in range(first, last + 1, 50):
        blocks = el.batch([("eth_getBlockByNumber", [hex(n), False]) for n in range(at, min(at + 50, last + 1))])
        raws = el.batch([("eth_getRawTransactionByBlockHashAndIndex", [b["hash"], hex(i)]) for b in blocks for i in range(len(b["transactions"]))])
        for b in blocks:
            n = len(b["transactions"])
            out.append((b, raws[:n]))
            raws = raws[n:]
    return out


class EngineApi:
    def __init__(self, rpc, rollup):
        self.rpc, self.rollup = rpc, rollup

    def new_payload(self, block, raw):
        method, params = new_payload_params(block, raw, self.rollup)
        answer = self.rpc.call(method, *params)
        if answer["status"] != "VALID":
            raise NotValid(f"newPayload {int(block['number'], 16)}", answer)

    def forkchoice(self, head, safe=ZERO, finalized=ZERO, attributes=None):
        answer = self.rpc.call("engine_forkchoiceUpdatedV3", {"headBlockHash": head, "safeBlockHash": safe, "finalizedBlockHash": finalized}, attributes)
        if answer["payloadStatus"]["status"] != "VALID":
            raise NotValid(f"forkchoice update to {head}", answer["payloadStatus"])
        return answer.get("payloadId")

    def feed(self, blocks, every=32):
        """Imports [(block, raw)] with one forkchoice update each `every` blocks and one at the end."""
        for i, (block, raw) in enumerate(blocks, 1):
            self.new_payload(block, raw)
            if i % every == 0 or i == len(blocks):
                self.forkchoice(block["hash"])


def l1_info_successor(raw):
    """The L1-info deposit of the next block in the same L1 epoch: sequence number + 1. For Ecotone's layout and those after it."""
    fields = list(rlp.decode(bytes.fromhex(raw[4:])))
    data = bytearray(fields[7])
    sequence = int.from_bytes(data[12:20], "big") + 1
    data[12:20] = sequence.to_bytes(8, "big")
    l1_hash = bytes(data[100:132])
    fields[0] = keccak((1).to_bytes(32, "big") + keccak(l1_hash + sequence.to_bytes(32, "big")))
    fields[7] = bytes(data)
    return "0x7e" + rlp.encode(fields).hex()


def first_l1_info():
    """A Jovian L1-info deposit for block 1 of a chain whose L1 does not matter."""
    l1_hash = keccak(b"towline bench l1")
    data = (bytes.fromhex("3db6be2b") + bytes(8) + bytes(8) + (1).to_bytes(8, "big") + (1).to_bytes(8, "big") + (1).to_bytes(32, "big") + (1).to_bytes(32, "big")
            + l1_hash + bytes(32) + bytes(4) + bytes(8) + (400).to_bytes(2, "big"))
    source = keccak((1).to_bytes(32, "big") + keccak(l1_hash + bytes(32)))
    depositor, l1_block = bytes.fromhex("deaddeaddeaddeaddeaddeaddeaddeaddead0001"), bytes.fromhex("4200000000000000000000000000000000000015")
    return "0x7e" + rlp.encode([source, depositor, l1_block, b"", b"", (1_000_000).to_bytes(3, "big"), b"", data]).hex()


class Builder:
    """Lets an op-geth build Jovian blocks of our own with payload attributes: a branch, or a whole chain."""

    def __init__(self, geth, rollup):
        self.geth, self.api = geth, EngineApi(geth.engine, rollup)

    def build(self, transactions, info=None, seconds=None, randao=ZERO):
        """Builds a block on the head and makes it the head. Transactions are raw; info: its L1-info deposit, default: the successor of the parent's."""
        parent = self.geth.el.block("latest", True)
        if info is None:
            raw = self.geth.el.call("eth_getRawTransactionByBlockHashAndIndex", parent["hash"], "0x0")
            info = l1_info_successor(raw)
        attributes = {"timestamp": hex(int(parent["timestamp"], 16) + (seconds or self.api.rollup["block_time"])), "prevRandao": randao,
                      "suggestedFeeRecipient": SEQUENCER_FEE_VAULT, "withdrawals": [], "parentBeaconBlockRoot": ZERO, "transactions": [info, *transactions],
                      "noTxPool": True, "gasLimit": hex(GAS_LIMIT), "eip1559Params": "0x000000fa00000006", "minBaseFee": 0}
        payload_id = self.api.forkchoice(parent["hash"], attributes=attributes)
        envelope = self.geth.engine.call("engine_getPayloadV4", payload_id)
        payload = envelope["executionPayload"]
        answer = self.geth.engine.call("engine_newPayloadV4", payload, [], envelope["parentBeaconBlockRoot"], [])
        if answer["status"] != "VALID":
            raise NotValid("our own block", answer)
        self.api.forkchoice(payload["blockHash"])
        return payload

    def branch(self, blocks):
        """Builds `blocks` blocks on the head that no other node has (another prevRandao)."""
        for i in range(blocks):
            payload = self.build([], randao="0x" + (i + 1).to_bytes(32, "big").hex())
        return payload["blockHash"]

    def label(self, safe, finalized):
        el = self.geth.el
        self.api.forkchoice(el.block("latest")["hash"], el.block(safe)["hash"], el.block(finalized)["hash"])


def read_rollup(path):
    with open(path) as f:
        return json.load(f)


__all__ = ["Builder", "EngineApi", "NotValid", "RpcError", "fetch_blocks", "first_l1_info", "new_payload_params", "read_rollup"]
