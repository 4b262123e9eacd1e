"""Fifty execution clients towed by one coordinator and one fetcher."""
import json
import re
import time
from pathlib import Path

from stack import Process, free_port, http

BLOCKS, DRIVERS = 400, 50


def resident_mib(process):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.popen.pid}/status").read_text())[1]) // 1024


def test_fifty_clients_cost_the_source_about_one(stack, tmp_path):
    # The same seed and times make the same chain. Each devnet provides its client, the first one also the sources.
    genesis = int(time.time()) - 2 * BLOCKS
    s = stack(blocks=BLOCKS, block_time=0, genesis_time=genesis)
    others, drivers, targets, nets = [], [], [], [s.endpoints]
    try:
        for n in range(1, DRIVERS):
            (tmp_path / f"net{n}").mkdir()
            flags = ["--blocks", BLOCKS, "--block-time", 0, "--genesis-time", genesis, "--dir", tmp_path / f"net{n}/net"]
            others.append(Process("towline-devnet", flags, tmp_path / f"net{n}").start())
        for n in range(1, DRIVERS):
            file = tmp_path / f"net{n}/net/endpoints.json"
            s.wait(f"devnet {n}", file.exists)
            nets.append(json.loads(file.read_text()))
        s.processes["remote-fetcher"] = Process("remote-fetcher", s.flags("remote-fetcher"), s.dir).start()
        for n, net in enumerate(nets):
            grpc, directory = free_port(), tmp_path / f"driver{n}"
            directory.mkdir()
            flags = [f"--rollup-config={s.endpoints['rollup']}", f"--grpc.addr=127.0.0.1:{grpc}", f"--http.addr=127.0.0.1:{free_port()}", f"--engine={net['engine']}",
                     f"--jwt-secret={net['jwt']}", f"--data-dir={directory}/data", f"--remote-fetcher=dns:///127.0.0.1:{s.ports['remote-fetcher'][0]}"]
            drivers.append(Process("engine-driver", flags, directory).start())
            targets.append(f"--engine-driver=dns:///127.0.0.1:{grpc}")
        own = [f for f in s.flags("sync-coordinator") if not f.startswith("--engine-driver")]
        s.processes["sync-coordinator"] = Process("sync-coordinator", own + targets, s.dir).start()

        def head(net):
            return json.loads(http(net["control"] + "/stats")[1])["el"]["head"]["number"]

        s.wait("every client at the tip", lambda: all(head(net) == BLOCKS for net in nets))
        metrics = s.get("remote-fetcher", "/metrics")[1]
        fetched = int(float(re.search(r"^towline_fetcher_blocks_total(?:\{.*\})? (\S+)$", metrics, re.M)[1]))
        assert BLOCKS <= fetched <= 1.2 * BLOCKS, fetched
        assert resident_mib(s.processes["remote-fetcher"]) < 200
    finally:
        for p in drivers + others:
            p.kill()
