#!/usr/bin/env python3
"""Builds Docker Compose v2, which Debian 12 does not have, from the Go module pinned in go/.

    plugin.py CONFIG      CONFIG/cli-plugins/docker-compose; docker finds it with DOCKER_CONFIG=CONFIG

Nothing is done when it is there and the pins have not changed.
"""
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
import peers  # noqa: E402

PINS = [HERE / "go/go.mod", HERE / "go/go.sum"]


def main():
    config = Path(sys.argv[1]).resolve()
    plugin, stamp = config / "cli-plugins/docker-compose", config / "stamp"
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in PINS)).hexdigest()
    if plugin.exists() and stamp.exists() and stamp.read_text() == digest:
        return
    plugin.parent.mkdir(parents=True, exist_ok=True)
    go = peers.find_go(HERE.parents[1] / "build")
    env = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
    started = time.time()
    subprocess.run([go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(plugin), "github.com/docker/compose/v2/cmd"], cwd=HERE / "go", env=env, check=True)
    stamp.write_text(digest)
    print(f"compose: Docker Compose built in {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
