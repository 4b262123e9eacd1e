"""deploy/compose.yaml as an operator uses it: every container may be restarted, killed or taken down, and the tow goes on."""
import json
import os
import signal

import pytest
from containers import ROOT, Compose, http

SERVICES = ("remote-fetcher", "p2p-gossip", "engine-driver", "sync-coordinator")


@pytest.fixture(scope="module")
def compose(image):
    c = Compose("test", ["-f", ROOT / "deploy/compose.yaml"], TOWLINE_IMAGE=image)
    c.up()
    yield c
    c.down()


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


def test_a_reorg(compose):
    address = next(iter(compose.state("devnet")["NetworkSettings"]["Networks"].values()))["IPAddress"]

    def ask(path, body=None):
        status, text = http(f"http://{address}:9000/{path}", body)
        assert status == 200, text
        return json.loads(text)

    branch = ask("ctl", json.dumps({"cmd": "reorg", "depth": 3}).encode())["chain"]["head"]
    compose.wait("the client is on the new branch", lambda: (s := ask("stats"))["el"]["head"] == s["chain"]["head"] and s["el"]["head"]["number"] >= branch["number"])
    compose.goes_on("reorg")


def test_two_versions_side_by_side(compose, image, next_image):
    """Each service is upgraded while the others stay, then all go back at once."""
    compose.env["TOWLINE_IMAGE"] = next_image
    for n, service in enumerate(SERVICES, 1):
        compose.up("--no-deps", service)
        compose.goes_on(f"{service} upgraded")
        assert [compose.state(s)["Config"]["Image"] for s in SERVICES] == [next_image] * n + [image] * (len(SERVICES) - n)
    compose.env["TOWLINE_IMAGE"] = image
    compose.up()
    compose.goes_on("all went back")


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
    assert "rejected" not in compose.towline("endpoints")
