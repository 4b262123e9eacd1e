"""deploy/compose.network.yaml with the files in deploy/networks. Tests named test_config* need no Docker engine, only Compose."""
import json
import os
import re
import socket

import pytest
from containers import BIN, ROOT, Compose, attempt, free_port, http, run

FILE = ROOT / "deploy/compose.network.yaml"
NETWORKS = sorted((ROOT / "deploy/networks").glob("*.env"))
TABLE = {c["name"]: c for c in json.loads((ROOT / "libs/rollup/networks.json").read_text())["chains"]}
SERVICES = ("remote-fetcher", "p2p-gossip", "engine-driver", "sync-coordinator")


def variables(path):
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", path.read_text()))


def config(env_file, *more, **env):
    r = attempt("docker", "compose", "--env-file", env_file, "-f", FILE, *more, "config", "--format", "json", env={**os.environ, **env})
    return json.loads(r.stdout) if r.returncode == 0 else r.stderr.strip()


@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_config_of_a_network(path):
    of, chain = variables(path), TABLE[variables(path)["TOWLINE_NETWORK"]]
    assert of["ENV_FILE"] == f"networks/{path.name}" and of["EL_IMAGE"] == "" and of["COMPOSE_PROFILES"] == of["EL_CLIENT"]
    assert of["EL_CHAIN"].replace("optimism", "op") == chain["name"].removesuffix("-mainnet")
    assert of["TOWLINE_ENDPOINT"].split(",")[0] == chain["public_rpc"]
    now_known = {"base" in chain["name"]: "base-reth-node", "celo" in chain["name"]: "celo-reth"}.get(True, "op-reth")
    assert of["EL_CLIENT"] == now_known

    services = config(path, EL_IMAGE="client:1")["services"]
    assert set(services) == {"prepare", "reth", *SERVICES}
    for name, s in services.items():
        assert s["mem_limit"] and s["pids_limit"] and s["logging"]["options"]["max-size"] == "10m" and s["read_only"] and s["cap_drop"] == ["ALL"], name
        open_ports = {(p["published"], p["protocol"]) for p in s.get("ports", []) if p.get("host_ip") != "127.0.0.1"}
        assert open_ports == ({("9222", "tcp"), ("9222", "udp")} if name == "p2p-gossip" else set()), name
        assert set(s.get("networks") or ()) == {"prepare": set(), "remote-fetcher": {"inside", "outside"}, "p2p-gossip": {"inside", "outside"}}.get(name, {"inside"}), name
        holds_jwt = [v for v in s["volumes"] if v["source"] == "jwt"]
        assert [v.get("read_only", False) for v in holds_jwt] == {"prepare": [False], "reth": [True], "engine-driver": [True]}.get(name, []), name
        assert s["stop_grace_period"] == "5m0s" if name == "reth" else name == "prepare" or s["stop_grace_period"] == "10s"
        assert ("TOWLINE_ENDPOINT" in s["environment"]) == (name == "remote-fetcher" or name == "prepare"), name


def test_config_of_the_client_with_a_way_out():
    services = config(NETWORKS[0], "-f", ROOT / "deploy/compose.el-outside.yaml", EL_IMAGE="client:1")["services"]
    assert set(services["reth"]["networks"]) == {"inside", "outside"}
    assert services["reth"]["networks"]["inside"]["aliases"] == ["el"]


def test_config_that_lacks_something_says_what(tmp_path):
    assert "EL_IMAGE" in (said := config(NETWORKS[0])) and "must name the image" in said
    half = tmp_path / "half.env"
    for name, says in (("TOWLINE_ENDPOINT", "must list the RPC URLs"), ("TOWLINE_NETWORK", "must name the network"), ("EL_CHAIN", "what the client calls the chain"),
                       ("EL_CLIENT", "which client"), ("ENV_FILE", "the env file itself")):
        half.write_text("".join(f"{k}={v}\n" for k, v in variables(NETWORKS[0]).items() if k != name))
        assert name in (said := config(half, EL_IMAGE="client:1")) and says in said
    assert "env file" in config(tmp_path / "none.env")
    half.write_text("".join(f"{k}={v}\n" for k, v in {**variables(NETWORKS[0]), "ENV_FILE": "networks/gone.env"}.items()))
    assert "gone.env" in config(half, EL_IMAGE="client:1")


@pytest.mark.parametrize("service", SERVICES)
def test_config_hands_every_flag_on(service):
    """Every variable that the file does not set itself reaches the service that has the flag."""
    flags = {f["env"] for f in json.loads(run(BIN / service, "--print-flags"))}
    files = {"TOWLINE_CONFIG", "TOWLINE_INSECURE", "TOWLINE_ROLLUP_CONFIG", "TOWLINE_ENDPOINTS_FILE", "TOWLINE_P2P_PRIV_PATH", "TOWLINE_P2P_LISTEN_IP", "TOWLINE_P2P_LISTEN_UDP"}
    assert set(config(NETWORKS[0], EL_IMAGE="client:1")["services"][service]["environment"]) == flags - files


def test_config_variables_are_explained():
    example = set(re.findall(r"(?m)^#?([A-Z]\w+)=", (ROOT / "deploy/networks/.env.example").read_text()))
    read = set(re.findall(r"\$\{([A-Z]\w+)", FILE.read_text()))
    handed_on = set(re.findall(r"\? ([A-Z]\w+)", FILE.read_text()))
    assert read - example == set()
    assert example - read - handed_on == {"COMPOSE_PROFILES"}


def project(name, image, client_image, tmp_path, **more):
    """Unichain with a devnet as endpoints and client, which has Unichain's chain id and genesis hash."""
    own = {"EL_IMAGE": client_image, "TOWLINE_P2P_LISTEN_TCP": free_port(), "EL_HTTP_PORT": free_port(), "TOWLINE_P2P_NO_DISCOVERY": 1, "EL_MEMORY": "1g",
           "TOWLINE_ENDPOINT": "http://el:8553,group=a,http://el:8554,group=b,http://el:8555,group=c",
           # The devnet's genesis is of today, so the times of its blocks do not fit the network's genesis.
           "TOWLINE_CHECK_BLOCK_TIMES": "off", "TOWLINE_READY_MAX_HEAD_AGE": 60, **more}
    path = tmp_path / "own.env"
    path.write_text("".join(f"{k}={v}\n" for k, v in {**variables(ROOT / "deploy/networks/unichain.env"), **own, "ENV_FILE": more.get("ENV_FILE", path)}.items()))
    return Compose(name, ["--env-file", path, "-f", FILE], TOWLINE_IMAGE=image)


@pytest.fixture
def network(image, client_image, tmp_path):
    made = []

    def make(**more):
        made.append(project("network", image, client_image, tmp_path, **more))
        return made[-1]

    yield make
    for c in made:
        c.down()


def test_follows_and_keeps_its_secrets(network):
    c = network()
    c.up()
    c.goes_on("up")
    assert "op-reth" in c("logs", "prepare")
    for service, there in (("reth", True), ("engine-driver", True), ("remote-fetcher", False), ("p2p-gossip", False), ("sync-coordinator", False)):
        assert (c.attempt("exec", service, "test", "-r", "/jwt/jwt.hex").returncode == 0) == there, service
    assert c("exec", "engine-driver", "stat", "-c", "%a %u %g", "/jwt/jwt.hex").strip() == "640 10001 10001"
    # Published on loopback, although the network has no internet access.
    assert http(f"http://127.0.0.1:{c.env['TOWLINE_HTTP_PORT']}/livez")[0] == 200
    secret = c("exec", "engine-driver", "cat", "/jwt/jwt.hex")
    # The same secret, data and network after everything went down.
    c("down")
    c.up()
    assert c("exec", "engine-driver", "cat", "/jwt/jwt.hex") == secret
    c.goes_on("up again")
    assert secret.strip() not in c("logs")


def test_the_client_is_of_another_chain(network):
    c = network(EL_PROGRAM="another-chain")
    c("up", "--detach", "--no-build")
    c.says("engine-driver", "wrong chain: the EL has chain id 8453, the rollup config says 130")
    assert c.state("engine-driver")["RestartCount"] == 0


def test_no_route_to_any_source(network):
    c = network(TOWLINE_ENDPOINT="http://nowhere.invalid:8545,http://192.0.2.1:8545")
    c("up", "--detach", "--no-build")
    c.says("remote-fetcher", "endpoint cannot be probed, trying on")
    assert c.state("remote-fetcher")["RestartCount"] == 0
    said = c.wait("status says it", lambda: (t := c.tow()) and t.get("state") == "TOW_STATE_WAITING_FOR_SOURCE" and t)
    assert said["reason"], said


def test_a_port_in_use(network):
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        r = network(TOWLINE_P2P_LISTEN_TCP=port).attempt("up", "--detach", "--no-build")
    assert r.returncode != 0 and str(port) in r.stderr and "address already in use" in r.stderr, r.stderr


@pytest.mark.parametrize(("wrong", "says"), [
    ({"TOWLINE_NETWORK": "unichain"}, "TOWLINE_NETWORK=unichain: "),
    ({"TOWLINE_QUORUM_SAFFE": "2"}, "nothing reads TOWLINE_QUORUM_SAFFE"),
    ({"EL_DAT": "/srv"}, "nothing reads EL_DAT"),
    ({"TOWLINE_GRPC_ADDR": "0.0.0.0:1"}, "nothing reads TOWLINE_GRPC_ADDR"),
    ({"EL_CLIENT": "op-reht", "COMPOSE_PROFILES": "op-reht"}, "EL_CLIENT=op-reht: must be op-reth,"),
    ({"COMPOSE_PROFILES": "op-geth"}, "must be the same as EL_CLIENT"),
    ({"EL_CLIENT": "op-geth", "COMPOSE_PROFILES": "op-geth"}, "op-geth does not know the fork karst, which unichain-mainnet has since 2026-07-08"),
    ({"EL_CLIENT": "op-geth", "COMPOSE_PROFILES": "op-geth", "TOWLINE_NETWORK": "base-mainnet"}, "the fork base.azul"),
    ({"EL_CLIENT": "op-geth", "COMPOSE_PROFILES": "op-geth", "TOWLINE_NETWORK": "celo-mainnet"}, "Celo has gone over"),
    ({"TOWLINE_NETWORK": "base-mainnet"}, "run base-reth-node"),
    ({"EL_CLIENT": "celo-reth", "COMPOSE_PROFILES": "celo-reth"}, "not a client of unichain-mainnet"),
    ({"EL_USER": "1000"}, "EL_DATA belongs to user 10001, and the client runs as user 1000"),
], ids=lambda v: "-".join(v) if isinstance(v, dict) else "")
def test_what_was_given_wrong_is_named_and_nothing_starts(network, wrong, says):
    c = network(**wrong)
    r = c.attempt("up", "--detach", "--no-build")
    assert r.returncode != 0 and "prepare" in r.stderr, r.stderr
    lines = [line for line in c("logs", "--no-log-prefix", "prepare").splitlines() if line]
    assert len(lines) == 1 and says in lines[0], lines
    assert c("ps", "--services").strip() == ""


def test_op_geth_goes_where_no_fork_forbids_it(network):
    c = network(EL_CLIENT="op-geth", COMPOSE_PROFILES="op-geth", TOWLINE_NETWORK="bob-mainnet")
    assert "bob-mainnet with op-geth" in c("run", "--rm", "prepare")


def test_a_secret_that_is_none_and_a_volume_that_is_not_ours(network, tmp_path):
    directory = tmp_path / "jwt"
    directory.mkdir()
    os.chown(directory, 10001, 10001)
    (directory / "jwt.hex").write_text("11" * 31)
    c = network(JWT_DIR=directory)
    assert "must hold 64 hex digits" in c.attempt("run", "--rm", "prepare").stderr
    (directory / "jwt.hex").chmod(0)
    assert "cannot be read by user 10001" in c.attempt("run", "--rm", "prepare").stderr
    (directory / "jwt.hex").unlink()
    os.chown(directory, 0, 0)
    assert "the volume jwt is not writable by user 10001" in c.attempt("run", "--rm", "prepare").stderr
    os.chown(directory, 10001, 10001)
    c("run", "--rm", "prepare")
    assert (directory / "jwt.hex").stat().st_mode & 0o777 == 0o640
