#!/usr/bin/env python3
"""Runs buf at the version pinned in scripts/buf (npm), with the machine's npm or one from a pinned wheel."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/interop"))
sys.dont_write_bytecode = True
from peers import find_npm  # noqa: E402

work = ROOT / "build/buf"
buf = work / "node_modules/@bufbuild/buf-linux-x64/bin/buf"
if not buf.exists():
    npm = find_npm(ROOT / "build")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(ROOT / "scripts/buf", work)
    env = {**os.environ, "PATH": f"{Path(npm).parent}:{os.environ['PATH']}"}
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=work, env=env, check=True, stdout=sys.stderr)
sys.exit(subprocess.run([buf, *sys.argv[1:]], cwd=ROOT).returncode)
