#!/usr/bin/env python3
"""Every edge case has its row in docs/edge-cases.md, and every test that is named there exists."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "libs", "services", "tests", "tools"], cwd=ROOT, capture_output=True, text=True, check=True)
tests = set()
for name in files.stdout.split():
    if name.endswith("_test.cpp"):
        tests |= {f"{s}.{t}" for s, t in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", (ROOT / name).read_text(), re.M)}
    elif name.endswith(".py"):
        tests |= set(re.findall(r"^def (test_\w+)\(", (ROOT / name).read_text(), re.M))

problems, seen = [], []
for line in (ROOT / "docs/edge-cases.md").read_text().splitlines():
    row = re.match(r"\| D(\d+) \|", line)
    if not row:
        continue
    seen.append(int(row.group(1)))
    named = re.findall(r"`([\w.]+)`", line)
    problems += [f"docs/edge-cases.md: D{row.group(1)} names {t}, which is no test" for t in named if t not in tests]
    if not named and "not yet" not in line:
        problems.append(f"docs/edge-cases.md: D{row.group(1)} names no test")
problems += [f"docs/edge-cases.md: D{n} is missing" for n in range(1, 52) if seen.count(n) != 1]
print("\n".join(problems), end="\n" if problems else "")
sys.exit(1 if problems else 0)
