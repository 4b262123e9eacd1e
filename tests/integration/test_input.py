"""An operator's mistakes: one clear line each, and no secret in any output."""
import re
import socket
import subprocess

import pytest
from stack import BIN, GOSSIP, HANG_S, SERVICES, free_port


def run(service, *flags):
    p = subprocess.run([BIN / service, *map(str, flags)], capture_output=True, text=True, timeout=HANG_S, check=False)
    return p.returncode, p.stdout + p.stderr


@pytest.mark.parametrize("service", [*SERVICES, GOSSIP])
def test_unknown_flag(service):
    code, said = run(service, "--no-such-flag")
    assert code != 0 and "--no-such-flag" in said, said
    assert len(said.strip().splitlines()) <= 3, said


def test_no_engine(stack):
    s = stack(blocks=5)
    code, said = run("engine-driver", *[f for f in s.flags("engine-driver") if not f.startswith("--engine=")])
    assert code == 2 and "--engine is required" in said and len(said.strip().splitlines()) == 1, said


@pytest.mark.parametrize("program", [*SERVICES, GOSSIP, "towline"])
def test_config_file_with_an_unknown_key(tmp_path, program):
    config = tmp_path / "bad.toml"
    config.write_text("nonsense = 1\n")
    code, said = run(program, f"--config={config}", *(["status"] if program == "towline" else []))
    assert code == 2 and "--config" in said and "nonsense" in said and len(said.strip().splitlines()) == 1, said


@pytest.mark.parametrize("service", [*SERVICES, GOSSIP])
def test_port_taken(stack, service):
    s = stack(blocks=5)
    with socket.create_server(("127.0.0.1", s.ports[service][0])):
        code, said = run(service, *s.flags(service))
    assert code == 1 and "did not stop in time" not in said, said
    errors = [line for line in said.splitlines() if not re.match(r"\S+Z  (info|warn)  ", line)]
    assert len(errors) == 1 and errors[0].startswith(f"{service}: --grpc.addr: cannot listen on 127.0.0.1:{s.ports[service][0]}"), said


@pytest.mark.parametrize(("text", "says"), [("", "empty"), ("0xabcdef", "64"), ("zz" * 32, "hex")])
def test_bad_jwt_file(stack, text, says):
    s = stack(blocks=5)
    bad = s.dir / "bad.hex"
    bad.write_text(text)
    code, said = run("engine-driver", *[f for f in s.flags("engine-driver") if "jwt-secret" not in f], f"--jwt-secret={bad}")
    assert code == 2 and says in said and "jwt" in said.lower(), said
    assert not text or text not in said.replace(str(bad), "")


def test_wrong_jwt_is_told(stack):
    s = stack(blocks=5)
    with open(s.endpoints["jwt"], "w", encoding="ascii") as f:
        f.write("11" * 32)
    s.start()
    s.wait("the JWT is named", lambda: "jwt" in s.processes["engine-driver"].log.read_text().lower().replace("--jwt-secret=", ""))
    assert s.get("sync-coordinator", "/readyz")[0] == 503
    assert s.stats()["engine"]["payloads"] == 0


@pytest.mark.parametrize(("flag", "says"), [("--rollup-config=/nonexistent.json", "/nonexistent.json"), ("--endpoint=ftp://x", "--endpoint"),
                                             ("--poll-interval=soon", "--poll-interval"), ("--network=nowhere", "nowhere")])
def test_bad_values_of_the_fetcher(stack, flag, says):
    s = stack(blocks=5)
    key = flag.split("=", 1)[0]
    flags = [f for f in s.flags("remote-fetcher") if not f.startswith(key) and not (key == "--network" and f.startswith("--rollup-config"))]
    code, said = run("remote-fetcher", *flags, flag)
    assert code != 0 and says in said.strip().splitlines()[-1], said


def test_secrets_stay_secret(stack):
    canary = "c4n4ry5ecret"
    s = stack(blocks=60, sources=2)
    s.ctl("fault", node=1, html=True)
    urls = [u.removeprefix("http://") for u in s.endpoints["sources"]]
    dead = free_port()
    endpoints = s.dir / "endpoints.toml"
    endpoints.write_text("".join(f'[[endpoint]]\nurl = "{u}"\nheaders = ["x-api-key: {canary}"]\n' for u in (
        f"http://user:{canary}@{urls[0]}/v2/{canary}?key={canary}", f"http://{urls[1]}/{canary}", f"http://127.0.0.1:{dead}/{canary}")))
    s.start(endpoints=[s.endpoints["cl"]], fetcher_extra=[f"--endpoints-file={endpoints}"], env={"TOWLINE_LOG_LEVEL": "trace"})
    s.wait_tip()
    jwt = open(s.endpoints["jwt"], encoding="ascii").read().strip().removeprefix("0x")
    said = {f"{name} {path}": s.get(name, path)[1] for name in SERVICES for path in ("/metrics", "/readyz")}
    for p in s.processes.values():
        p.stop()
        said[p.name] = p.log.read_text()
    said["evidence"] = s.evidence.read_text() if s.evidence.exists() else ""
    for where, text in said.items():
        assert canary not in text, where
        assert jwt not in text, where
        assert "Bearer ey" not in text, where
