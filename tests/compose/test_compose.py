"""deploy/compose.yaml as an operator uses it: every container may be restarted, killed or taken down, and the tow goes on.

The image is made of the programs that were built, as deploy/Dockerfile's last stage makes it: C++ is not compiled again.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
from stack import BIN, HANG_S, free_port  # noqa: E402

SERVICES = ("remote-fetcher", "p2p-gossip", "engine-driver", "sync-coordinator")


def run(*command, **more):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=HANG_S, **more)
    assert r.returncode == 0, f"{command}: {r.stdout}{r.stderr}"
    return r.stdout


def last_stage():
    """What deploy/Dockerfile does behind its build, with the programs from a folder."""
    stages = re.split(r"(?m)^(?=FROM )", (ROOT / "deploy/Dockerfile").read_text())
    base = "ARG BASE_IMAGE=debian:bookworm-slim\n"
    return base + stages[-1].replace("COPY --from=build /out/", "COPY ")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    context = tmp_path_factory.mktemp("context")
    shutil.copytree(BIN, context / "bin")
    shutil.copy(ROOT / "LICENSE", context)
    programs = list((context / "bin").iterdir())
    run("strip", *programs)
    libraries = {os.path.realpath(m) for m in re.findall(r"=> (/\S+)", run("ldd", *programs))}
    names = sorted("*/" + re.sub(r"^(/usr)?/lib/", "", path) for path in libraries)
    packages = {line.split(":")[0] for line in run("dpkg", "-S", *names).splitlines()}
    (context / "packages.txt").write_text("\n".join(sorted(packages)) + "\n")
    (context / "Dockerfile").write_text(last_stage())
    base = os.environ.get("BASE_IMAGE", "debian:bookworm-slim")
    name = f"towline-test:{os.getpid()}"
    run("docker", "build", "--quiet", "--build-arg", f"BASE_IMAGE={base}", "--tag", name, context)
    yield name
    subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)


class Compose:
    def __init__(self, image):
        self.project = f"towline-test-{os.getpid()}"
        self.env = {**os.environ, "TOWLINE_IMAGE": image, "TOWLINE_GRPC_PORT": str(free_port()), "TOWLINE_HTTP_PORT": str(free_port())}

    def __call__(self, *arguments):
        return run("docker", "compose", "-p", self.project, "-f", ROOT / "deploy/compose.yaml", *arguments, env=self.env)

    def up(self, *more):
        self("up", "--detach", "--no-build", "--wait", *more)

    def towline(self, *arguments):
        """In the coordinator's container; None: not 0."""
        r = subprocess.run(["docker", "exec", f"{self.project}-sync-coordinator-1", "towline", *arguments], capture_output=True, text=True, check=False, timeout=HANG_S)
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
        return int(tow["local"]["labels"]["latest"]["number"]) if tow and tow.get("state") == "TOW_STATE_AT_TIP" else 0

    def goes_on(self, what):
        """Ready, at the tip, and two blocks further than now."""
        before = self.wait(f"{what}: at the tip", self.head)
        self.wait(f"{what}: goes on", lambda: self.head() >= before + 2 and self.towline("status", "--check"))

    def state(self, service):
        return json.loads(run("docker", "inspect", f"{self.project}-{service}-1"))[0]


@pytest.fixture(scope="module")
def compose(image):
    c = Compose(image)
    c.up()
    yield c
    c("down", "--volumes", "--timeout", "5")
    left = run("docker", "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={c.project}")
    assert left == "", left


def test_follows_and_is_looked_at_from_inside(compose):
    compose.goes_on("up")
    assert "leads" in compose.towline("endpoints")
    assert "towline-devnet (static)" in compose.wait("a peer", lambda: (t := compose.towline("peers")) and "(static)" in t and t)
    assert "import" in compose.towline("decisions", "-n", "20")
    anonymous = [v["Name"] for s in (*SERVICES, "devnet") for v in compose.state(s)["Mounts"] if v["Type"] == "volume" and compose.project not in v["Name"]]
    assert anonymous == []


@pytest.mark.parametrize("service", [*SERVICES, "devnet"])
def test_a_process_that_is_killed_comes_back(compose, service):
    was = compose.state(service)
    os.kill(was["State"]["Pid"], signal.SIGKILL)
    compose.wait("started again", lambda: (s := compose.state(service))["State"]["Running"] and s["RestartCount"] > was["RestartCount"])
    assert compose.state(service)["Id"] == was["Id"]
    compose.goes_on(f"{service} killed")


def test_replicas_come_and_go(compose):
    compose.up("--scale", "remote-fetcher=3", "--no-recreate")
    compose.goes_on("three fetchers")
    compose.up("--scale", "remote-fetcher=1", "--no-recreate")
    compose.goes_on("one fetcher")


def test_a_restart_of_everything(compose):
    compose("restart")
    compose.goes_on("restart")


def test_down_and_up_again_is_the_same_network(compose):
    final = compose.tow()["local"]["labels"]["finalized"]
    compose("down")
    compose.up()
    compose.goes_on("up again")
    tow = compose.tow()
    assert int(tow["local"]["labels"]["finalized"]["number"]) >= int(final["number"])
    assert "diverged" not in compose.towline("decisions")
    assert "refused" not in compose.towline("endpoints")
