"""Images of the built programs, and a compose project. C++ is not compiled again: an image is made by the last stage of deploy/Dockerfile."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
from stack import BIN, HANG_S, free_port, http  # noqa: E402,F401

BASE = os.environ.get("BASE_IMAGE", "debian:bookworm-slim")


def attempt(*command, **more):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=HANG_S, **more)


def run(*command, **more):
    r = attempt(*command, **more)
    assert r.returncode == 0, f"{command}: {r.stdout}{r.stderr}"
    return r.stdout


def last_stage():
    """The stage of deploy/Dockerfile after its build, with the programs from a folder."""
    stages = re.split(r"(?m)^(?=FROM )", (ROOT / "deploy/Dockerfile").read_text())
    base = "ARG BASE_IMAGE=debian:bookworm-slim\n"
    return base + stages[-1].replace("COPY --from=build /out/", "COPY ")


def build(context, name):
    run("docker", "build", "--quiet", "--build-arg", f"BASE_IMAGE={BASE}", "--tag", name, context)
    return name


def build_image(context, name):
    shutil.copytree(BIN, context / "bin", ignore=shutil.ignore_patterns("towline-bench-*"))
    shutil.copy(ROOT / "LICENSE", context)
    run(ROOT / "scripts/split-symbols.sh", context / "bin", context / "symbols")
    (context / "packages.txt").write_text(run(ROOT / "scripts/runtime-packages.sh", *(context / "bin").iterdir()))
    shutil.copy(ROOT / "deploy/prepare.sh", context / "bin/towline-prepare")
    (context / "Dockerfile").write_text(last_stage())
    (context / ".dockerignore").write_text("symbols\n")
    return build(context, name)


class Compose:
    """`files` are arguments of compose: -f, --env-file."""

    def __init__(self, name, files, **env):
        self.project, self.files = f"towline-{name}-{os.getpid()}", files
        self.env = {**os.environ, "TOWLINE_GRPC_PORT": str(free_port()), "TOWLINE_HTTP_PORT": str(free_port()), **env}

    def attempt(self, *arguments, **env):
        return attempt("docker", "compose", "-p", self.project, *self.files, *arguments, env={**self.env, **env})

    def __call__(self, *arguments):
        r = self.attempt(*arguments)
        assert r.returncode == 0, f"{arguments}: {r.stdout}{r.stderr}"
        return r.stdout

    def up(self, *more):
        self("up", "--detach", "--no-build", "--wait", *more)

    def down(self):
        self("down", "--volumes", "--timeout", "5")
        left = run("docker", "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        assert left == "", left

    def towline(self, *arguments):
        """The output of `towline` in the coordinator's container; None: its exit code is not 0."""
        r = attempt("docker", "exec", f"{self.project}-sync-coordinator-1", "towline", *arguments)
        return r.stdout if r.returncode == 0 else None

    def tow(self):
        text = self.towline("status", "--json")
        return json.loads(text)["tows"][0] if text else None

    def wait(self, what, probe):
        deadline = time.monotonic() + HANG_S
        while time.monotonic() < deadline:
            if value := probe():
                return value
            time.sleep(0.2)
        raise AssertionError(f"{what}: {self.tow()}\n{self('logs', '--tail', '20')}")

    def head(self):
        tow = self.tow()
        return int(tow["local"]["labels"]["unsafe"]["number"]) if tow and tow.get("state") == "TOW_STATE_AT_TIP" else 0

    def goes_on(self, what):
        """Waits until the tow is at the tip, and two blocks further than now."""
        before = self.wait(f"{what}: at the tip", self.head)
        self.wait(f"{what}: goes on", lambda: self.head() >= before + 2 and self.towline("status", "--check"))

    def says(self, service, text):
        return self.wait(f"{service} says {text!r}", lambda: text in self.attempt("logs", service).stdout)

    def state(self, service):
        return json.loads(run("docker", "inspect", f"{self.project}-{service}-1"))[0]
