"""The devnet and the services as processes on free ports, each with a log file."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from environment import forget_towline_variables  # noqa: E402
import patient  # noqa: E402
from ports import free_port  # noqa: E402

forget_towline_variables()

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TEST_BIN") or ROOT / "build/release/bin")
SERVICES = ("remote-fetcher", "engine-driver", "sync-coordinator")
GOSSIP = "p2p-gossip"  # only if a test asks for it: it would hide faults of the sources
# Only a hang takes this long, even on the slowest machine.
HANG_S = 600


def http(url, body=None, timeout=HANG_S):
    """(status, text)"""
    status, text = patient.post(url, body, timeout)
    return status, text.decode()


def fake_clock(directory):
    """A file with the offset of the wall clock, and the environment of a process that uses it (libfaketime)."""
    clock = Path(directory) / "clock"
    set_clock(clock, "+0")
    listed = subprocess.run(["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=True).stdout.split()
    return clock, {"LD_PRELOAD": next(f for f in listed if f.endswith("libfaketimeMT.so.1")), "FAKETIME_TIMESTAMP_FILE": str(clock),
                   "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def set_clock(clock, offset):
    """Replaces the file at once: a process may read it at any time."""
    fresh = clock.with_suffix(".new")
    fresh.write_text(offset + "\n")
    fresh.rename(clock)


class Process:
    def __init__(self, name, flags, directory, env=None):
        self.name, self.binary, self.flags, self.log = name, BIN / name, [str(f) for f in flags], Path(directory) / f"{name}.log"
        self.env, self.popen = {**os.environ, **(env or {})}, None

    def start(self):
        with open(self.log, "a") as out:
            self.popen = subprocess.Popen([self.binary, *self.flags], stdout=out, stderr=out, env=self.env)
        return self

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self):
        """SIGTERM; returns the exit code. A service that needs 5 s to stop ends itself with 1, so tests expect 0."""
        if self.popen and self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(HANG_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} does not stop") from None
        return self.popen.returncode if self.popen else 0

    def tail(self, lines=15):
        return f"--- {self.name}\n" + "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else ""


class Stack:
    """Takes devnet flags as keywords: blocks=500 is --blocks 500."""

    def __init__(self, directory, **flags):
        self.dir = Path(directory)
        net = self.dir / "net"
        self.trace = self.dir / "trace.jsonl"
        arguments = {"blocks": 200, "block_time": 0.5, **flags, "dir": net, "engine_trace": self.trace}
        self.block_time = arguments["block_time"]
        self.devnet = Process("towline-devnet", [x for k, v in arguments.items() for x in ("--" + k.replace("_", "-"), v)], self.dir).start()
        self.processes = {}
        self.wait("devnet", lambda: (net / "endpoints.json").exists())
        self.endpoints = json.loads((net / "endpoints.json").read_text())
        self.ports = {s: (free_port(), free_port()) for s in (*SERVICES, GOSSIP)}
        self.evidence = self.dir / "evidence.jsonl"

    def flags(self, service, endpoints=None, extra=()):
        e = self.endpoints
        grpc, status = self.ports[service]
        own = {
            # With block times below a second the timestamps do not follow the rule.
            "remote-fetcher": ["--poll-interval=200ms", f"--check.block-times={'on' if self.block_time >= 1 else 'off'}", f"--evidence-file={self.evidence}", *(f"--endpoint={u}" for u in endpoints or [e["cl"], *e["sources"]])],
            "engine-driver": [f"--engine={e['engine']}", f"--jwt-secret={e['jwt']}", f"--engine.admin-rpc={e['admin']}", f"--data-dir={self.dir / 'data'}",
                              f"--remote-fetcher=dns:///127.0.0.1:{self.ports['remote-fetcher'][0]}",
                              f"--p2p-gossip=dns:///127.0.0.1:{self.ports[GOSSIP][0]}"],
            "sync-coordinator": [f"--remote-fetcher=dns:///127.0.0.1:{self.ports['remote-fetcher'][0]}",
                                 f"--engine-driver=dns:///127.0.0.1:{self.ports['engine-driver'][0]}",
                                 f"--p2p-gossip=dns:///127.0.0.1:{self.ports[GOSSIP][0]}"],
            GOSSIP: [f"--p2p.static={e['p2p']}", f"--p2p.unsafe-block-signer={e['signer']}", "--p2p.listen.ip=127.0.0.1", "--p2p.listen.tcp=0", f"--data-dir={self.dir / 'p2p'}"],
        }[service]
        return [f"--rollup-config={e['rollup']}", f"--grpc.addr=127.0.0.1:{grpc}", f"--http.addr=127.0.0.1:{status}", *own, *extra]

    def start(self, endpoints=None, fetcher_extra=(), env=None, gossip=False, coordinator_extra=(), env_of=None):
        services = (*SERVICES, GOSSIP) if gossip else SERVICES
        for s in services:
            extra = {"remote-fetcher": fetcher_extra, "sync-coordinator": coordinator_extra}.get(s, ())
            self.processes[s] = Process(s, self.flags(s, endpoints, extra), self.dir, env if env_of is None or s in env_of else None).start()
        for s in services:
            self.wait(f"{s} alive", lambda s=s: self.get(s, "/livez")[0] == 200)
        return self

    def second_coordinator(self):
        """Starts a second coordinator for the same driver; self.ports has its ports from now on."""
        self.ports["sync-coordinator"] = (free_port(), free_port())
        second = self.dir / "second"
        second.mkdir()
        self.processes["second"] = Process("sync-coordinator", self.flags("sync-coordinator"), second).start()
        return self.processes["second"]

    def get(self, service, path):
        return http(f"http://127.0.0.1:{self.ports[service][1]}{path}")

    def stats(self):
        return json.loads(http(self.endpoints["control"] + "/stats")[1])

    def timestamp(self):
        """The timestamp of the chain's head."""
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        return int(json.loads(http(self.endpoints["sources"][0], json.dumps(request).encode())[1])["result"]["timestamp"], 16)

    def ctl(self, cmd, **more):
        status, text = http(self.endpoints["control"] + "/ctl", json.dumps({"cmd": cmd, **more}).encode())
        assert status == 200, text
        return json.loads(text)

    def wait(self, what, probe):
        deadline, last = time.monotonic() + HANG_S, None
        while time.monotonic() < deadline:
            try:
                last = probe()
                if last:
                    return last
            except OSError as e:
                last = e
            time.sleep(0.1)
        raise AssertionError(f"{what}: not within {HANG_S} s; last: {last}\n" + "\n".join(p.tail() for p in [self.devnet, *self.processes.values()]))

    def wait_tip(self):
        """Waits until the client is on the remote chain, at most two blocks behind, with labels."""
        def there():
            s = self.stats()
            if not s["el"]["safe"] or not s["el"]["finalized"] or s["chain"]["head"]["number"] - s["el"]["head"]["number"] > 2:
                return None
            return s
        return self.wait("at the tip", there)

    def wait_same_head(self):
        """Stops production, and waits until the client has exactly the remote's labels."""
        self.ctl("produce", on=False)
        def same():
            s = self.stats()
            return s if s["el"] == s["chain"] else None
        return self.wait("the same labels", same)

    def records(self):
        return [json.loads(line) for line in self.trace.read_text().splitlines()] if self.trace.exists() else []

    def check_trace(self):
        """Checks the invariants: every answer was expected, finalized never went back, labels were in order."""
        number, finalized = {"0x" + "00" * 32: -1}, -1
        for r in self.records():
            if r["kind"] == "newPayload":
                assert r["status"] != "INVALID" and not r["status"].startswith("error"), r
                number[r["hash"]] = r["number"]
            elif r["kind"] == "forkchoice":
                assert not r["attributes"] and not r["status"].startswith("error"), r
                head, safe, final = (number.get(r[k], 0) for k in ("head", "safe", "finalized"))
                assert head >= safe and (safe == -1 or safe >= final), r
                if final >= 0:
                    assert final >= finalized, f"finalized went back from {finalized}: {r}"
                    finalized = final

    def close(self):
        for p in [*self.processes.values(), self.devnet]:
            if p.popen and p.popen.poll() is None:
                p.kill()
