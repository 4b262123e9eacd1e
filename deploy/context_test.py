""".dockerignore lets through every file that the programs are built from, and no test or document. Arguments: the repository, and a folder where they were built.

The truth is ninja's record: sources and headers of the target `programs`, and the files that CMake reads.
"""
import fnmatch
import os
import subprocess
import sys
from pathlib import Path

root, build = Path(sys.argv[1]), Path(sys.argv[2])
rules = [line for line in (root / ".dockerignore").read_text().split("\n") if line and not line.startswith("#")]


def covers(pattern, path):
    """Whether the pattern matches the path itself or a folder above it."""
    parts = path.split("/")
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
    return any(fnmatch.fnmatchcase("/".join(parts[:n]), pattern) and pattern.count("/") == n - 1 for n in range(1, len(parts) + 1))


def in_context(path):
    """As docker decides: the last rule that matches counts."""
    inside = True
    for rule in rules:
        if covers(rule.removeprefix("!"), path):
            inside = rule.startswith("!")
    return inside


def ninja(*arguments):
    return subprocess.run(["ninja", "-C", build, "-t", *arguments], capture_output=True, text=True, check=True).stdout.splitlines()


def ours(files):
    """Paths of the repository, without those in its build folder."""
    found = {os.path.relpath(build / f, root) for f in files}
    return {f for f in found if not f.startswith(("../", "build/"))}


inputs = [line.strip() for line in ninja("inputs", "programs")]
needed, objects, of_programs = set(inputs), set(inputs), False
for line in ninja("deps"):
    if not line.startswith(" "):
        of_programs = line.split(":")[0] in objects
    elif of_programs:
        needed.add(line.strip())
# Files that CMake reads only for the tests are not needed.
read = ours(line.strip(" |") for line in ninja("query", "build.ninja") if line.startswith("    "))
needed = ours(needed) | {f for f in read if not (f.startswith("tests/") and f.endswith("CMakeLists.txt"))}
missing = sorted(f for f in needed if not in_context(f))
known = set(subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\n")[:-1])
useless = sorted(f for f in known if f.endswith((".md", "_test.cpp", "_test.sh", ".py")) and in_context(f))
for f in missing:
    print(f"{f} is part of the programs, and .dockerignore keeps it from the image's build")
for f in useless:
    print(f"{f} is not part of the programs, and a change of it would build the image again")
print(f"{len(needed)} files are needed, {len(missing)} of them missing, {len(useless)} useless ones let through")
sys.exit(1 if missing or useless or len(needed) < 100 else 0)
