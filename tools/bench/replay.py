"""The replay server of the bench, as a process."""
from harness.nodes import ROOT
from harness.procs import Proc, wait_for
from harness.rpc import Rpc
from harness.towline import binary

CHAIN = ROOT / "build/bench/chain"


class Replay:
    """Replay(directory of its log, name, "source", DELAY_MS, RAW) or Replay(directory, name, "engine")."""

    def __init__(self, directory, name, *args):
        self.proc = Proc(name, [binary("towline-bench-replay"), CHAIN / "chain.bin", *args], directory).start()
        wait_for(name, lambda: self.proc.log.read_text().strip().isdigit(), procs=[self.proc])
        self.url = "http://127.0.0.1:" + self.proc.log.read_text().strip()
        self.rpc = Rpc(self.url)

    def stop(self):
        self.proc.kill()
