"""A real OP Stack chain on loopback: anvil as L1, op-geth and op-node as the sequencer, op-batcher."""
import asyncio
import json
import secrets
import sys
import time
from pathlib import Path

from .http_proxy import HttpProxy
from .load import CHAIN_ID
from .nodes import BATCHER_KEY, L1_ID, SENDERS, SIGNER, SIGNER_KEY, SYSTEM_CONFIG, Geth, l2_genesis, peer, rollup_config
from .procs import Proc, free_port, wait_for
from .rpc import Rpc

assert CHAIN_ID == 901
# op-node resolves its built-in bootnodes even with discovery off; any well-formed record keeps DNS out of it
NO_BOOTNODE = ("enode://4359cb93393d64e47dee8dbd1fa66592e33c2db43c543a2eb8f65787563fb56a75d854215a7d6331285c9adea690681b9319624ca86773a7d7557ae665"
               "f52800@127.0.0.1:9")
# keccak256("systemconfig.unsafeblocksigner")
SIGNER_SLOT = "0x65a7ed542fb37fe237fdfbdd70b31598523fe5b32879e307bae27a0bd9581c08"


class PatientSequencer(HttpProxy):
    """A proxy between op-node and its op-geth. A sequencer that is behind the clock requests each block at once, before it has a transaction. This gives the
    builder some milliseconds."""

    patience = 0.0

    async def handle(self, path, headers, body):
        if self.patience and b"engine_getPayload" in body[:200]:
            await asyncio.sleep(self.patience)
        return await self.forward(path, headers, body)


class Devnet:
    """history_s: start the chain so long ago; the sequencer then builds the missing blocks at full speed.
    fork_every_s: start at Bedrock and take one fork each fork_every_s seconds. per_block: transactions in each
    block of the history; tip_rate: transactions a second after it. l1_epoch: L1 slots in an epoch; L1's finalized is two epochs behind its head.
    mixed_mining: L1 mines a block for each batch too, which lets its clock run ahead of L2's."""

    def __init__(self, directory, history_s=0, block_time=1, l1_block_time=2, l1_epoch=4, fork_every_s=0, per_block=0, tip_rate=0.0,
                 mixed_mining=True):
        self.dir, self.mixed_mining = Path(directory), mixed_mining
        self.dir.mkdir(parents=True, exist_ok=True)
        self.history_s, self.block_time, self.l1_block_time = history_s, block_time, l1_block_time
        self.l1_epoch, self.fork_every_s, self.per_block, self.tip_rate = l1_epoch, fork_every_s, per_block, tip_rate
        self.l1_port, self.cl_port = free_port(), free_port()
        self.l1_url, self.cl_url = f"http://127.0.0.1:{self.l1_port}", f"http://127.0.0.1:{self.cl_port}"
        self.l1, self.cl = Rpc(self.l1_url), Rpc(self.cl_url)
        self.genesis, self.rollup = self.dir / "genesis.json", self.dir / "rollup.json"
        self.anvil = self.geth = self.node = self.batcher = self.sender = self.gate = None

    def _write(self, name, value):
        (self.dir / name).write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
        return self.dir / name

    @property
    def el(self):
        return self.geth.el

    @property
    def el_url(self):
        return self.geth.url

    def procs(self):
        return [p for p in (self.anvil, self.geth and self.geth.proc, self.node, self.batcher) if p]

    def start(self, wait=True):
        self._start_l1()
        l1 = self.l1.call("eth_getBlockByNumber", "0x0", False)
        l2_time = int(l1["timestamp"], 16)
        self._write("genesis.json", l2_genesis(l2_time, self.fork_every_s))
        self.geth = Geth("seq-geth", self.dir, self.genesis, archive=True, maxpeers=8).start()
        self._write("rollup.json", rollup_config(l1["hash"], self.el.block(0)["hash"], l2_time, self.block_time, self.fork_every_s))
        if self.per_block or self.tip_rate:
            self.sender = Proc("load", [sys.executable, "-m", "harness.load", self.el_url, SENDERS, self.history_s // self.block_time if self.per_block else 0,
                                        self.per_block, self.tip_rate], self.dir, cwd=Path(__file__).resolve().parents[1]).start()
            wait_for("transactions in the pool", lambda: int(self.el.call("txpool_status")["pending"], 16) >= (500 if self.per_block else 1),
                     procs=[self.sender])
        self.gate = PatientSequencer(self.geth.engine_url, free_port())
        self.gate.patience = 0.02 if self.per_block else 0.0
        self.node = self._sequencer().start()
        wait_for("op-node", lambda: self.cl.call("optimism_syncStatus"), procs=self.procs())
        self._start_batcher()
        if wait:
            self.wait_for_tip()
        return self

    def wait_for_tip(self):
        """Waits until the sequencer has built the history, and safe and finalized have moved."""
        history = self.history_s // self.block_time
        wait_for("history", lambda: self.el.height() > 2 + history, 0.5, self.procs())
        self.gate.patience = 0.0
        wait_for("safe and finalized", lambda: 0 < self.el.height("finalized") <= self.el.height("safe"), 0.5, self.procs())
        return self

    def _start_l1(self):
        start = int(time.time()) - self.history_s - 4
        self.anvil = Proc("anvil", [peer("anvil"), "--host", "127.0.0.1", "--port", self.l1_port, "--chain-id", L1_ID, "--block-time", self.l1_block_time,
                                    "--slots-in-an-epoch", self.l1_epoch, "--timestamp", start, "--silent",
                                    *(["--mixed-mining"] if self.mixed_mining else [])], self.dir).start()
        wait_for("anvil", lambda: self.l1.call("eth_chainId"), procs=[self.anvil])
        # without an unsafe block signer in the SystemConfig contract op-node ignores all gossip
        self.l1.call("anvil_setStorageAt", SYSTEM_CONFIG, SIGNER_SLOT, "0x" + SIGNER[2:].lower().rjust(64, "0"))
        if self.history_s:
            self.l1.call("anvil_mine", hex(self.history_s // 12), hex(12))
        blocks = ["homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul", "berlin", "london", "mergeNetsplit"]
        self._write("l1-chain.json", {"chainId": L1_ID, **{b + "Block": 0 for b in blocks}, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0,
                                      "terminalTotalDifficulty": 0,
                                      "blobSchedule": {"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477},
                                                       "prague": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5007716}}})

    def op_node(self, name, engine_url, jwt_file, rpc_port, *flags, discovery=False):
        """An op-node of this chain; not started. Later flags win."""
        key = self._write(name + "-p2p.txt", secrets.token_hex(32))
        return Proc(name, [peer("op-node"), f"--l1={self.l1_url}", "--l1.beacon.ignore", "--l1.rpckind=basic", "--l1.trustrpc",
                           "--l1.http-poll-interval=1s", "--l1.epoch-poll-interval=2s", f"--l2={engine_url}",
                           f"--l2.jwt-secret={jwt_file}", f"--rollup.config={self.rollup}", f"--rollup.l1-chain-config={self.dir / 'l1-chain.json'}",
                           "--rpc.addr=127.0.0.1", f"--rpc.port={rpc_port}", "--rpc.enable-admin", "--p2p.listen.ip=127.0.0.1",
                           f"--p2p.listen.tcp={free_port()}", f"--p2p.priv.path={key}",
                           *([] if discovery else ["--p2p.no-discovery", f"--p2p.bootnodes={NO_BOOTNODE}"]),
                           "--p2p.discovery.path=memory", "--p2p.peerstore.path=memory", *flags], self.dir)

    def _sequencer(self):
        return self.op_node("seq-node", self.gate.url, self.geth.jwt_file, self.cl_port, "--sequencer.enabled", "--sequencer.l1-confs=0",
                            f"--p2p.sequencer.key={SIGNER_KEY}")

    def p2p_address(self):
        """The sequencer's multiaddr."""
        return next(a for a in self.cl.call("opp2p_self")["addresses"] if "/tcp/" in a)

    def _start_batcher(self):
        self.batcher = Proc("batcher", [peer("op-batcher"), f"--l1-eth-rpc={self.l1_url}", f"--l2-eth-rpc={self.el_url}", f"--rollup-rpc={self.cl_url}",
                                        f"--private-key=0x{BATCHER_KEY}", "--data-availability-type=calldata", "--max-channel-duration=2",
                                        "--sub-safety-margin=4", "--poll-interval=1s", "--num-confirmations=1", "--max-pending-tx=10",
                                        "--throttle.unsafe-da-bytes-lower-threshold=0", f"--rpc.port={free_port()}", "--rpc.addr=127.0.0.1"], self.dir)
        self.batcher.start()

    def restart_batcher(self):
        self.batcher.stop()
        self.batcher.start()

    def sync_status(self):
        """optimism_syncStatus with {label: (number, hash)}"""
        s = self.cl.call("optimism_syncStatus")
        return {k: (v["number"], v["hash"]) for k, v in s.items() if isinstance(v, dict) and "hash" in v}

    def stop(self):
        if self.sender:
            self.sender.kill()
        for p in reversed(self.procs()):
            p.stop(10)
        if self.gate:
            self.gate.stop()
