"""The real nodes: where their programs are, a genesis that works, op-geth as a fresh local client."""
import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from .load import addresses
from .procs import Proc, free_port, wait_for
from .rpc import Rpc, read_secret

ROOT = Path(__file__).resolve().parents[3]
PEERS = Path(os.environ.get("PEERS_BIN") or ROOT / "build/peers/bin")
L1_ID, L2_ID = 900, 901
GAS_LIMIT = 60_000_000
SENDERS = 200
FORKS = ["regolith", "canyon", "delta", "ecotone", "fjord", "granite", "holocene", "isthmus", "jovian"]
# the development keys that anvil funds: 1 posts the batches, 2 signs gossip
BATCHER_KEY = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
SIGNER_KEY = "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
BATCHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SIGNER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
SYSTEM_CONFIG = "0x" + "00" * 19 + "22"
SEQUENCER_FEE_VAULT = "0x4200000000000000000000000000000000000011"


def peer(name):
    path = PEERS / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: run tests/interop/peers.py")
    return path


def fork_times(genesis_time, every_s):
    """Every fork at genesis, or from Bedrock one fork each every_s seconds."""
    if not every_s:
        return dict.fromkeys(FORKS, 0)
    return {"regolith": 0} | {f: genesis_time + every_s * i for i, f in enumerate(FORKS) if i}


def l2_genesis(timestamp, fork_every_s=0):
    at = fork_times(timestamp, fork_every_s)
    blocks = ["homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul", "muirGlacier", "berlin",
              "london", "arrowGlacier", "grayGlacier", "mergeNetsplit", "bedrock"]
    config = {"chainId": L2_ID, **{b + "Block": 0 for b in blocks}, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": True,
              "shanghaiTime": at["canyon"], "cancunTime": at["ecotone"], "pragueTime": at["isthmus"],
              **{f + "Time": at[f] for f in FORKS if f != "delta"},
              "optimism": {"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250}}
    alloc = {a[2:].lower(): {"balance": hex(10**24)} for a in addresses(SENDERS)}
    # L1Block without its code is enough: deposits to it succeed and its fees read as zero. Slot 8 holds Jovian's DA footprint scalar of 400, the
    # default that op-geth takes from the deposit: op-reth reads it here
    alloc["4200000000000000000000000000000000000015"] = {"balance": "0x0", "code": "0x00", "nonce": "0x1",
                                                         "storage": {"0x" + "00" * 31 + "08": "0x" + "00" * 18 + "0190" + "00" * 12}}
    # op-geth leaves withdrawalsRoot out of a payload while the message passer's storage is empty, so it gets a slot
    alloc["4200000000000000000000000000000000000016"] = {"balance": "0x0", "code": "0x00", "nonce": "0x1",
                                                         "storage": {"0x" + "00" * 32: "0x" + "00" * 31 + "01"}}
    return {"config": config, "nonce": "0x0", "timestamp": hex(timestamp), "gasLimit": hex(GAS_LIMIT), "difficulty": "0x0",
            "extraData": "0x" if fork_every_s else "0x01000000fa000000060000000000000000", "mixHash": "0x" + "00" * 32,
            "coinbase": SEQUENCER_FEE_VAULT, "alloc": alloc, "baseFeePerGas": hex(10**9)}


def rollup_config(l1_genesis_hash, l2_genesis_hash, l2_time, block_time, fork_every_s=0):
    return {"genesis": {"l1": {"hash": l1_genesis_hash, "number": 0}, "l2": {"hash": l2_genesis_hash, "number": 0}, "l2_time": l2_time,
                        "system_config": {"batcherAddr": BATCHER, "overhead": "0x" + "00" * 32, "scalar": "0x01" + "00" * 31, "gasLimit": GAS_LIMIT,
                                          "eip1559Params": "0x" + "00" * 8 if fork_every_s else "0x000000fa00000006",
                                          "operatorFeeParams": "0x" + "00" * 32, "minBaseFee": 0, "daFootprintGasScalar": 0}},
            "block_time": block_time, "max_sequencer_drift": 600, "seq_window_size": 3600, "channel_timeout": 300,
            "l1_chain_id": L1_ID, "l2_chain_id": L2_ID, **{f + "_time": t for f, t in fork_times(l2_time, fork_every_s).items()},
            "batch_inbox_address": "0xff00000000000000000000000000000000000901", "deposit_contract_address": "0x" + "00" * 19 + "11",
            "l1_system_config_address": SYSTEM_CONFIG, "protocol_versions_address": "0x" + "00" * 20,
            "chain_op_config": {"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250}}


class Geth:
    """An op-geth, without EL peers unless maxpeers says how many it may have (add_peer). `el` is its ordinary RPC, `engine` the Engine API; restarts keep ports and data. One that is an
    archive has ws_url too."""

    def __init__(self, name, directory, genesis, jwt_file=None, archive=False, taskset=None, copy_of=None, maxpeers=0, syncmode="full"):
        self.name, self.dir = name, Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.data = self.dir / f"{name}-data"
        self.jwt_file = Path(jwt_file) if jwt_file else self.dir / f"{name}-jwt.hex"
        if not self.jwt_file.exists():
            self.jwt_file.write_text(secrets.token_hex(32))
        self.http_port, self.engine_port, p2p = free_port(), free_port(), free_port()
        # the sequencer keeps the state of each block, so that it loses no block at a kill; a towed client has op-geth's defaults
        scheme = ["--state.scheme=hash", "--gcmode=archive"] if archive else []
        if copy_of:
            shutil.copytree(copy_of, self.data)
        else:
            log = self.dir / f"{name}-init.log"
            with open(log, "wb") as out:
                done = subprocess.run([peer("geth"), "init", *scheme[:1], f"--datadir={self.data}", str(genesis)], stdout=out, stderr=out, check=False)
            assert done.returncode == 0, f"geth init failed, see {log}"
        argv = [peer("geth"), f"--datadir={self.data}", "--http", "--http.addr=127.0.0.1", f"--http.port={self.http_port}",
                "--http.api=eth,net,web3,debug,engine,txpool,miner,admin", "--authrpc.addr=127.0.0.1", f"--authrpc.port={self.engine_port}",
                f"--authrpc.jwtsecret={self.jwt_file}", f"--syncmode={syncmode}", *scheme, f"--port={p2p}", "--nodiscover", f"--maxpeers={maxpeers}",
                "--nat=none",
                f"--networkid={L2_ID}", "--rollup.disabletxpoolgossip=true", "--rollup.superchain-upgrades=false", "--ipcdisable",
                "--txpool.globalslots=20000", "--txpool.globalqueue=20000", "--txpool.accountslots=256", "--cache=256"]
        self.ws_url = None
        if archive:
            port = free_port()
            argv += ["--ws", "--ws.addr=127.0.0.1", f"--ws.port={port}"]
            self.ws_url = f"ws://127.0.0.1:{port}"
        if taskset is not None:
            argv = ["taskset", "-c", str(taskset), *argv]
        self.proc = Proc(name, argv, self.dir)
        self.url, self.engine_url = f"http://127.0.0.1:{self.http_port}", f"http://127.0.0.1:{self.engine_port}"
        self.el = Rpc(self.url)
        self.engine = Rpc(self.engine_url, read_secret(self.jwt_file))

    def start(self):
        self.proc.start()
        wait_for(self.name, lambda: self.el.call("eth_chainId"), procs=[self.proc])
        wait_for(self.name + " engine", lambda: self.engine.call("eth_chainId"), procs=[self.proc])
        return self

    def stop(self):
        self.proc.stop()

    def add_peer(self, other):
        """Adds a static peer on loopback."""
        self.el.call("admin_addPeer", other.el.call("admin_nodeInfo")["enode"])
        wait_for("the EL's peer", lambda: int(self.el.call("net_peerCount"), 16) > 0, procs=[self.proc])

    def labels(self):
        """{latest, safe, finalized: (number, hash) or None}"""
        return {tag: self.el.ref(tag) for tag in ("latest", "safe", "finalized")}


class SyncTester:
    """op-sync-tester: a local client in any starting state over a real chain."""

    def __init__(self, directory, el_url):
        self.port = free_port()
        config = Path(directory) / "sync-tester.yaml"
        config.write_text(json.dumps({"synctesters": {"dev": {"chain_id": L2_ID, "el_rpc": el_url}}}))
        self.proc = Proc("op-sync-tester", [peer("op-sync-tester"), f"--config={config}", "--rpc.addr=127.0.0.1", f"--rpc.port={self.port}"], directory)

    def start(self):
        self.proc.start()
        probe = Rpc(self.session("00000000-0000-4000-8000-000000000000", 1, 1, 1))
        wait_for("op-sync-tester", lambda: probe.call("eth_chainId"), procs=[self.proc])
        return self

    def session(self, uuid, latest, safe, finalized):
        return f"http://127.0.0.1:{self.port}/chain/{L2_ID}/synctest/{uuid}?latest={latest}&safe={safe}&finalized={finalized}"
