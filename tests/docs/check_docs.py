"""Documents and code say the same: programs, ports, metrics, reason codes, edge cases and their tests, links.

Arguments: the repository, and the programs that its build makes.
"""
import re
import sys
from pathlib import Path

root, programs = Path(sys.argv[1]), set(sys.argv[2:])
failures = []


def read(page):
    return (root / page).read_text()


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


services = {p for p in programs if (root / "services" / p).is_dir()}
rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)$", read("README.md").split("## The parts")[1].split("\n## ")[0], re.M))
compare("program", programs, "README.md", set(rows))
composed = set(re.findall(r"^  ([\w-]+):$", read("deploy/compose.yaml").split("\nservices:")[1].split("\nvolumes:")[0], re.M))
compare("service", services | {"devnet", "token"}, "deploy/compose.yaml", composed)
compare("service", composed, "deploy/README.md", set(re.findall(r"^\| `([\w-]+)` \|", read("deploy/README.md"), re.M)))
real = set(re.findall(r"^  ([\w-]+):$", read("deploy/compose.network.yaml").split("\nservices:")[1].split("\nnetworks:")[0], re.M))
compare("service", services | {"prepare", "reth", "geth"}, "deploy/compose.network.yaml", real)
compare("service", services, "deploy/systemd/towline.target", set(re.findall(r"towline@([\w-]+)\.service", read("deploy/systemd/towline.target"))))
compare("service", services | {"towline"}, "deploy/systemd/etc", {f.stem for f in (root / "deploy/systemd/etc").glob("*.env")})
compare("service", services, "docs/architecture.md", set(re.findall(r"^\| ([\w-]+) \| 127", read("docs/architecture.md"), re.M)))
for name in sorted(services):
    addresses = re.findall(r'"(127\.0\.0\.1:\d+)",?\s*"(127\.0\.0\.1:\d+)"', read(f"services/{name}/main.cpp"))
    if len(addresses) != 1:
        failures.append(f"services/{name}/main.cpp: its two addresses are not found: is this check still right?")
    for address in addresses[0] if addresses else ():
        if address not in rows.get(name, ""):
            failures.append(f"README.md: {name} listens on {address} by default, which its row does not say")
# From 32768 on the kernel takes ports for connections, so that a server's own port may be in use when it starts.
for page in [*root.glob("services/*/main.cpp"), *root.glob("tools/*/*.[ch]pp"), root / "deploy/compose.yaml", *root.glob("*.md"), *root.glob("docs/*.md"),
             *root.glob("*/*/README.md"), root / "deploy/README.md"]:
    for port in re.findall(r"(?:127\.0\.0\.1|0\.0\.0\.0|localhost|devnet):(\d+)", page.read_text()):
        if int(port) >= 32768:
            failures.append(f"{page.relative_to(root)}: port {port} is one that the kernel hands out")
if read("VERSION").strip() not in re.findall(r"^ARG VERSION=(\S+)$", read("deploy/Dockerfile"), re.M):
    failures.append("deploy/Dockerfile: ARG VERSION is not what VERSION says")

metrics = {m for text in sources("services", "libs") for m in re.findall(r'"(towline_(?:fetcher|coordinator|driver|gossip)_\w+|towline_info)"', text)}
compare("metric", metrics, "docs/metrics.md", set(re.findall(r"towline_(?:fetcher|coordinator|driver|gossip)_\w+|towline_info", (root / "docs/metrics.md").read_text())))

status = read("services/sync-coordinator/core/tow_status.cpp")
codes = set(re.findall(r'Text\{ReasonCode::\w+, "(\w+)"\}', status))
codes |= set(re.findall(r'"(source_\w+|no_blocks|clock_skew)"', "".join(
    read(f"services/remote-fetcher/{f}") for f in ("core/problem.cpp", "actors/endpoint_view.cpp"))))
problems = (root / "services/remote-fetcher/core/problem.cpp").read_text()
advice = {code: "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', texts)) for code, texts in re.findall(r'Text\{Problem::\w+, "(source_\w+|clock_skew)",((?:\s*"(?:[^"\\]|\\.)*")+)\}', problems)}
if not advice:
    failures.append("no advice found in the code: is this check still right?")
documented = dict(re.findall(r"^\| `(source_\w+|clock_skew)` \| .* \| (.*) \|$", (root / "docs/errors.md").read_text(), re.M))
failures.extend(f"docs/errors.md: {code} advises otherwise than the code: {text}" for code, text in advice.items() if documented.get(code) != text)
errors, calls = read("docs/errors.md").split("## gRPC")
compare("reason code", codes, "docs/errors.md", set(re.findall(r"^\| `(\w+)` \|", errors, re.M)))
refusals = set(re.findall(r'return "(\w+)"', read("libs/contract/refusal.cpp")))
compare("refusal", refusals, "docs/errors.md", set(re.findall(r"^\| `(\w+)` \|", calls.split("\n## ")[0], re.M)))

tests = set()
for folder in ("libs", "services", "tests", "tools"):
    for f in (root / folder).rglob("*_test.cpp"):
        tests |= {".".join(t) for t in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", f.read_text(), re.M)}
    for f in (root / folder).rglob("test_*.py"):
        tests |= set(re.findall(r"^def (test_\w+)\(", f.read_text(), re.M))
failures.extend(f"docs/simulation.md: {t} is no test" for t in re.findall(r"`([A-Z]\w+\.\w+)`", read("docs/simulation.md")) if t not in tests)
rows = {int(n): row for n, row in re.findall(r"^\| D(\d+) \|(.*)$", (root / "docs/edge-cases.md").read_text(), re.M)}
failures.extend(f"docs/edge-cases.md: D{n} is missing" for n in range(1, 52) if n not in rows)
for n, row in rows.items():
    named = re.findall(r"`([\w.]+)`", row)
    failures.extend(f"docs/edge-cases.md: D{n} names {t}, which is no test" for t in named if t not in tests)
    if not named and "not yet" not in row:
        failures.append(f"docs/edge-cases.md: D{n} names no test")

decisions = {f.name: f.read_text() for f in root.glob("docs/adr/0*.md")}
index = dict(re.findall(r"^\| \[\d{4}\]\(([\w-]+\.md)\) \| (.*) \|$", read("docs/adr/README.md"), re.M))
compare("decision", set(decisions), "docs/adr/README.md", set(index))
for name, text in decisions.items():
    if not text.startswith(f"# {name[:4]} {index.get(name)}\n") or not all(f"\n**{part}.** " in text for part in ("Context", "Decision", "Consequence")):
        failures.append(f"docs/adr/{name}: its title is not that of the index, or it lacks Context, Decision or Consequence")

for page in [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("services/*/README.md"), *root.glob("tools/**/README.md")]:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target and not (page.parent / target).exists():
            failures.append(f"{page.relative_to(root)}: {target} does not exist")

print("\n".join(failures) or f"{len(programs)} programs, {len(metrics)} metrics and {len(codes)} reason codes are documented, {len(rows)} edge cases have their tests, links lead somewhere")
sys.exit(1 if failures else 0)
