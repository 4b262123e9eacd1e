"""Towline's processes, started as an operator would, and their status and metrics."""
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from .nodes import ROOT
from .procs import Proc, free_port, wait_for

BIN = Path(os.environ.get("TEST_BIN") or ROOT / "build/release/bin")


def binary(name):
    path = BIN / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: build it first, or set TEST_BIN")
    return path


class Service:
    """One service process; a restart keeps its ports and data."""

    def __init__(self, program, directory, flags, name=None):
        self.grpc_port, self.http_port = free_port(), free_port()
        self.grpc, self.http = f"127.0.0.1:{self.grpc_port}", f"http://127.0.0.1:{self.http_port}"
        self.proc = Proc(name or program, [binary(program), f"--grpc.addr={self.grpc}", f"--http.addr=127.0.0.1:{self.http_port}", *flags], directory,
                         env={"TOWLINE_LOG_LEVEL": os.environ.get("TEST_LOG", "debug")})

    def start(self, wait=True):
        self.proc.start()
        if wait:
            wait_for(self.proc.name, lambda: self.get("/livez")[0] == 200, procs=[self.proc])
        return self

    def get(self, path):
        try:
            with urllib.request.urlopen(self.http + path, timeout=120) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def ready(self):
        return self.get("/readyz")[0] == 200

    def metrics(self):
        """{name{labels}: value}"""
        out = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                out[name] = float(value)
        return out

    def rss_mib(self):
        for line in Path(f"/proc/{self.proc.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.proc.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Towline:
    """remote-fetcher, engine-driver and sync-coordinator for one local client.

    sources: URLs, in the order of preference. engine_url: where the driver sends the Engine API (mostly an EngineProxy).
    p2p: flags of p2p-gossip, which runs only if they are given."""

    def __init__(self, directory, rollup, sources, engine_url, jwt_file, admin_rpc=None, poll="500ms", coordinator_flags=(), driver_flags=(), p2p=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "data").mkdir(exist_ok=True)
        chain = f"--rollup-config={rollup}"
        self.gossip = None
        if p2p is not None:
            self.p2p_port = free_port()
            self.gossip = Service("p2p-gossip", self.dir, [chain, f"--data-dir={self.dir / 'p2p'}", "--p2p.listen.ip=127.0.0.1", f"--p2p.listen.tcp={self.p2p_port}", *p2p])
            driver_flags = [*driver_flags, f"--p2p-gossip=dns:///{self.gossip.grpc}"]
            coordinator_flags = [*coordinator_flags, f"--p2p-gossip=dns:///{self.gossip.grpc}"]
        self.fetcher = Service("remote-fetcher", self.dir, [chain, *(f"--endpoint={u}" for u in sources), f"--poll-interval={poll}"])
        self.driver = Service("engine-driver", self.dir, [chain, f"--engine={engine_url}", f"--jwt-secret={jwt_file}", f"--data-dir={self.dir / 'data'}",
                                                          f"--remote-fetcher=dns:///{self.fetcher.grpc}",
                                                          *([f"--engine.admin-rpc={admin_rpc}"] if admin_rpc else []), *driver_flags])
        self.coordinator = Service("sync-coordinator", self.dir, [chain, f"--remote-fetcher=dns:///{self.fetcher.grpc}",
                                                                  f"--engine-driver={self.driver.grpc}", *coordinator_flags])
        self.services = [s for s in (self.gossip, self.fetcher, self.driver, self.coordinator) if s]

    def start(self):
        for s in self.services:
            s.start()
        return self

    def procs(self):
        return [s.proc for s in self.services]

    def stop(self):
        """{name: exit code}, without the services that a test had killed"""
        return {s.proc.name: s.proc.stop() for s in reversed(self.services) if s.proc.running()}

    def cli(self, *args):
        done = subprocess.run([binary("towline"), *args, "--sync-coordinator", self.coordinator.grpc, "--json"], capture_output=True, text=True, timeout=120)
        assert done.stdout.strip(), f"towline {' '.join(args)}: exit {done.returncode}: {done.stderr.strip()}"
        return json.loads(done.stdout)

    def tow(self):
        """The one tow of `towline status`."""
        status = self.cli("status")
        return status.get("status", status)["tows"][0]

    def state(self):
        return self.tow()["state"].removeprefix("TOW_STATE_")

    def decisions(self):
        answer = self.cli("decisions")
        return answer["decisions"] if isinstance(answer, dict) else answer

    def tails(self, lines=40):
        return "\n".join(p.tail(lines) for p in self.procs())
