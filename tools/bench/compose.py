#!/usr/bin/env python3
"""Containers: the size of the image, a cold `docker compose up` to AT_TIP, each container's restart to AT_TIP, and its memory at the tip.

    tools/bench/compose.py [--rounds N]

The image is made of the programs that were built, as the tests in tests/compose make it, and BASE_IMAGE (debian:bookworm-slim) has to be there. The network is
deploy/compose.yaml with its devnet: 2,000 blocks, and one each 2 s. A restart is measured from the moment when the container runs again to AT_TIP with all that
was restarted well, and to the first block after that. Where no Docker engine answers nothing is measured.
"""
import argparse
import calendar
import gzip
import json
import statistics
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/compose")]
from containers import BASE, Compose, attempt, build_image, http, run  # noqa: E402

SERVICES = ("remote-fetcher", "p2p-gossip", "engine-driver", "sync-coordinator", "devnet")
IMAGE = "towline-bench:latest"
MIB = 1 << 20


def missing():
    """Why nothing can be measured; empty: it can."""
    works = lambda *command: attempt("docker", *command).returncode == 0  # noqa: E731
    if not works("version") or not works("compose", "version"):
        return "no Docker engine"
    return "" if works("image", "inspect", BASE) or works("pull", BASE) else f"no image {BASE}"


def inspect(image):
    return json.loads(run("docker", "image", "inspect", image))[0]


def sizes(directory):
    """MiB above the base: as a registry keeps the layers (gzip), and unpacked."""
    base, own = inspect(BASE), inspect(IMAGE)
    tar = Path(directory) / "image.tar"
    run("docker", "save", "--output", tar, IMAGE)
    with tarfile.open(tar) as image:
        manifest = json.load(image.extractfile("manifest.json"))[0]
        layers = manifest["Layers"][len(base["RootFS"]["Layers"]):]
        compressed = sum(len(gzip.compress(image.extractfile(layer).read(), 6)) for layer in layers)
    tar.unlink()
    return {"compressed_mib": compressed / MIB, "unpacked_mib": (own["Size"] - base["Size"]) / MIB}


class Project(Compose):
    def metrics(self):
        """{name{labels}: value} of sync-coordinator; empty while it does not answer."""
        try:
            text = http(f"http://127.0.0.1:{self.env['TOWLINE_HTTP_PORT']}/metrics")[1]
        except OSError:
            return {}
        return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))}

    def tip(self):
        """The local head's number where the tow is AT_TIP."""
        m = self.metrics()
        at_tip = any(v == 1 for k, v in m.items() if k.startswith("towline_coordinator_state{") and '"AT_TIP"' in k)
        return next((v for k, v in m.items() if at_tip and "head_block_number" in k and '"local"' in k and '"unsafe"' in k), 0)

    def cold_up(self):
        began = time.monotonic()
        self("up", "--detach", "--no-build")
        self.wait("at the tip", self.tip)
        return time.monotonic() - began

    def restart(self, service):
        """Seconds from the container's start to AT_TIP, and to the first block after it."""
        head = self.tip()
        self("restart", "--timeout", "10", service)
        text, fraction = self.state(service)["State"]["StartedAt"].rstrip("Z").split(".")
        began = calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) + float("0." + fraction)

        def well():
            return self.attempt("exec", "-T", service, "towline", "probe").returncode == 0 and self.tip()

        self.wait(f"{service}: at the tip again", well)
        at_tip = time.time() - began
        head = max(head, self.tip())
        self.wait(f"{service}: the next block", lambda: self.tip() > head)
        return at_tip, time.time() - began

    def memory_mib(self):
        """{service: resident and kept for it, as `docker stats` counts}"""
        out = {}
        for service in SERVICES:
            used = run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", f"{self.project}-{service}-1").split("/")[0].strip()
            unit = {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[used[-3:]]
            out[service] = float(used[:-3]) * unit
        return out


def measure(rounds=3):
    """The figures, or a text: why there are none."""
    if why := missing():
        return why
    with tempfile.TemporaryDirectory() as directory:
        build_image(Path(directory), IMAGE)
    with tempfile.TemporaryDirectory() as directory:
        figures = {"image": sizes(directory)}
    ups, restarts, project = [], {s: [] for s in SERVICES}, Project("bench", ["-f", ROOT / "deploy/compose.yaml"], TOWLINE_IMAGE=IMAGE)
    try:
        for r in range(rounds):
            if r:
                project.down()
            ups.append(project.cold_up())
            for service in SERVICES:
                restarts[service].append(project.restart(service))
        time.sleep(10)
        figures["memory_mib"] = project.memory_mib()
    finally:
        project.down()
    figures["cold_up_s"] = statistics.median(ups)
    figures["restart_s"] = {s: statistics.median(a for a, _ in v) for s, v in restarts.items()}
    figures["next_block_s"] = {s: statistics.median(b for _, b in v) for s, v in restarts.items()}
    return figures


def table(figures):
    if isinstance(figures, str):
        print(f"containers: {figures}")
        return
    image = figures["image"]
    print(f"image above its base, MiB: {image['compressed_mib']:.1f} compressed, {image['unpacked_mib']:.1f} unpacked; cold compose up to AT_TIP: {figures['cold_up_s']:.1f} s")
    print(f"{'container':58}" + "".join(f"{h:>14}" for h in ("MiB at the tip", "restart s", "next block s")))
    for s in SERVICES:
        print(f"{s:58}{figures['memory_mib'][s]:14.1f}{figures['restart_s'][s]:14.1f}{figures['next_block_s'][s]:14.1f}")


def goals(figures):
    if not isinstance(figures, str):
        yield "image above its base, compressed MiB", figures["image"]["compressed_mib"], "<=", 45
        yield "image above its base, unpacked MiB", figures["image"]["unpacked_mib"], "<=", 75


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    table(measure(parser.parse_args().rounds))
