"""Documents and code say the same: metrics, reason codes, edge cases and their tests, links. Argument: the repository."""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
failures = []


def sources(*folders):
    for folder in folders:
        for f in sorted((root / folder).rglob("*.cpp")):
            if not f.name.endswith("_test.cpp"):
                yield f.read_text()


def compare(what, code, page, documented):
    if not code:
        failures.append(f"no {what} found in the code: is this check still right?")
    failures.extend(f"{page}: {what} {name} is not documented" for name in sorted(code - documented))
    failures.extend(f"{page}: {what} {name} is not in the code" for name in sorted(documented - code))


metrics = {m for text in sources("services", "libs") for m in re.findall(r'"(towline_(?:fetcher|coordinator|driver|gossip)_\w+|towline_info)"', text)}
compare("metric", metrics, "docs/metrics.md", set(re.findall(r"towline_(?:fetcher|coordinator|driver|gossip)_\w+|towline_info", (root / "docs/metrics.md").read_text())))

follower = (root / "services/sync-coordinator/core/follower.cpp").read_text()
codes = set(re.findall(r'enter\(\s*TowState::\w+,\s+"(\w+)"', follower))
codes |= {c for pair in re.findall(r'enter\([^;]*?\? TowState::\w+ : TowState::\w+,\s[^;]*?\? "(\w+)" : "(\w+)"', follower) for c in pair}
codes |= set(re.findall(r'"(source_\w+|no_blocks)"', "".join((root / f"services/{f}").read_text() for f in (
    "remote-fetcher/core/problem.cpp", "remote-fetcher/actors/pool.cpp", "sync-coordinator/core/follower.cpp"))))
codes |= {"no_heads"}  # where nothing more is known
codes.discard("source_reorged")  # a decision and no state
errors = (root / "docs/errors.md").read_text().split("## gRPC")[0]
compare("reason code", codes, "docs/errors.md", set(re.findall(r"^\| `(\w+)` \|", errors, re.M)))

tests = set()
for folder in ("libs", "services", "tests", "tools"):
    for f in (root / folder).rglob("*_test.cpp"):
        tests |= {".".join(t) for t in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", f.read_text(), re.M)}
    for f in (root / folder).rglob("test_*.py"):
        tests |= set(re.findall(r"^def (test_\w+)\(", f.read_text(), re.M))
rows = {int(n): row for n, row in re.findall(r"^\| D(\d+) \|(.*)$", (root / "docs/edge-cases.md").read_text(), re.M)}
failures.extend(f"docs/edge-cases.md: D{n} is missing" for n in range(1, 52) if n not in rows)
for n, row in rows.items():
    named = re.findall(r"`([\w.]+)`", row)
    failures.extend(f"docs/edge-cases.md: D{n} names {t}, which is no test" for t in named if t not in tests)
    if not named and "not yet" not in row:
        failures.append(f"docs/edge-cases.md: D{n} names no test")

for page in [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("services/*/README.md"), *root.glob("tools/**/README.md")]:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target and not (page.parent / target).exists():
            failures.append(f"{page.relative_to(root)}: {target} does not exist")

print("\n".join(failures) or f"{len(metrics)} metrics and {len(codes)} reason codes are documented, {len(rows)} edge cases have their tests, links lead somewhere")
sys.exit(1 if failures else 0)
