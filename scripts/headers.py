#!/usr/bin/env python3
"""Each header compiles by itself.

    headers.py [BUILD]      a build without precompiled headers (default: build/asan, which scripts/sanitize.sh makes)

Such a build proves a header that is the first include of a source that it has compiled. The other headers are parsed here alone, with the flags of a source
that includes them.
"""
import json
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

INCLUDE = re.compile(r'^#include ["<]([^">]+)[">]', re.M)


def flags_of(command):
    """The compiler and its options, without launcher, file names and debug information."""
    words, out = shlex.split(command), []
    while Path(words[0]).name in ("ccache",) or (Path(words[0]).parts[-2:] == ("cmake", "ccache")):
        words = words[1:]
    skip = False
    for word in words:
        if skip or word in ("-c", "-MD") or word.startswith("-g"):
            skip = False
        elif word in ("-o", "-MT", "-MF"):
            skip = True
        else:
            out.append(word)
    return out[:-1]  # the source


def main():
    root = Path(__file__).resolve().parents[1]
    build = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "build/asan"
    subprocess.run(["cmake", "--build", build, "--target", "towline_proto_sources"], stdout=subprocess.DEVNULL, check=True)
    headers = subprocess.check_output(["git", "ls-files", "*.hpp"], cwd=root, text=True).split()
    includes = {h: set(INCLUDE.findall((root / h).read_text())) for h in headers}
    proven, flags = set(), {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = Path(entry["directory"], entry["file"])
        if root not in source.parents or not source.exists() or build.resolve() in source.parents:
            continue
        seen = INCLUDE.findall(source.read_text())
        words = shlex.split(entry["command"])
        if Path(entry["directory"], words[words.index("-o") + 1]).exists():
            proven.update(seen[:1])
        # Also the headers that it includes through others.
        todo, reached = list(seen), set()
        while todo:
            if (h := todo.pop()) not in reached and h in includes:
                reached.add(h)
                todo += includes[h]
        for h in reached:
            flags.setdefault(h, (entry["directory"], flags_of(entry["command"])))
    unused = [h for h in headers if h not in flags]
    alone = [h for h in headers if h not in proven and h in flags]

    def parse(header):
        directory, words = flags[header]
        with tempfile.NamedTemporaryFile("w", suffix=".cpp") as f:
            f.write(f'#include "{header}"\n')
            f.flush()
            done = subprocess.run([*words, "-fsyntax-only", f.name], cwd=directory, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{header} does not compile by itself:\n{done.stderr}"

    with ThreadPoolExecutor(cpu_count()) as pool:
        wrong = [text for text in pool.map(parse, alone) if text]
    wrong += [f"{h}: no source of {build} includes it" for h in unused]
    print("\n".join([*wrong, f"{len(headers) - len(alone) - len(unused)} headers proven by the build, {len(alone)} parsed alone"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
