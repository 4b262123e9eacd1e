"""The common parts of all services: reflection, health, readiness, metrics, a setting in three places; and who may command."""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stack import BIN, GOSSIP, HANG_S, ROOT, SERVICES, Process, fake_clock, free_port, set_clock

OWN = {"remote-fetcher": ["towline.v1.PayloadSource", "towline.v1.RemoteFetcher"], "engine-driver": ["towline.v1.EngineDriver"],
       "sync-coordinator": ["towline.v1.SyncCoordinator"]}


def buf_curl(url, *flags):
    """A client without proto files: it uses the service's reflection."""
    p = subprocess.run([sys.executable, ROOT / "scripts/buf.py", "curl", "--protocol", "grpc", "--http2-prior-knowledge", *flags, url],
                       capture_output=True, text=True, timeout=HANG_S, check=False)
    assert p.returncode == 0, p.stderr
    return p.stdout


def test_reflection_health_and_a_call(stack):
    s = stack(blocks=20).start()
    s.wait_tip()
    for service in SERVICES:
        url = f"http://127.0.0.1:{s.ports[service][0]}"
        listed = buf_curl(url, "--list-methods")
        for name in [*OWN[service], "grpc.health.v1.Health"]:
            assert any(line.startswith(name + "/") for line in listed.splitlines()), listed
        assert json.loads(buf_curl(url + "/grpc.health.v1.Health/Check", "-d", "{}"))["status"] == "SERVING"
    tow = json.loads(buf_curl(f"http://127.0.0.1:{s.ports['sync-coordinator'][0]}/towline.v1.SyncCoordinator/GetSyncStatus", "-d", "{}"))
    assert tow["status"]["tows"][0]["state"] == "TOW_STATE_AT_TIP", tow


def test_the_coordinator_knows_where_the_others_are(stack):
    """A person needs only the coordinator's address; commands about a source reach each remote-fetcher."""
    s = stack(blocks=20).start(gossip=True)
    s.wait_tip()

    def towline(*args):
        p = subprocess.run([BIN / "towline", *args, "--sync-coordinator", f"127.0.0.1:{s.ports['sync-coordinator'][0]}"], capture_output=True, text=True,
                           timeout=HANG_S, check=False)
        return p.returncode, p.stdout + p.stderr

    code, said = towline("endpoints", "--json")
    names = [e["name"] for e in json.loads(said)["endpoints"]]
    assert code == 0 and len(names) == 2, said
    assert towline("peers")[0] == 0
    # Two replicas behind one target.
    port = s.ports["remote-fetcher"][0]
    flags = [f for f in s.flags("remote-fetcher") if not f.startswith(("--grpc.addr", "--http.addr"))]
    (s.dir / "second").mkdir()
    s.processes["second"] = Process("remote-fetcher", [*flags, f"--grpc.addr=127.0.0.2:{port}", "--http.addr=127.0.0.1:0"], s.dir / "second").start()
    s.wait("the second one", lambda: towline("endpoints", "--remote-fetcher", f"127.0.0.2:{port}")[0] == 0)
    code, said = towline("cordon", names[0], "--remote-fetcher", f"ipv4:127.0.0.1:{port},127.0.0.2:{port}")
    assert code == 0 and "in 2 of 2 remote-fetchers" in said, said
    for address in ("127.0.0.1", "127.0.0.2"):
        assert "cordoned" in towline("endpoints", "--remote-fetcher", f"{address}:{port}")[1]


def test_ready_says_why_not(stack):
    s = stack(blocks=20)
    dead = f"http://127.0.0.1:{free_port()}"
    s.start(endpoints=[dead])
    for service in SERVICES:
        assert s.get(service, "/livez")[0] == 200
    status, text = s.get("sync-coordinator", "/readyz")
    assert status == 503 and json.loads(text)["code"], text
    p = s.processes["remote-fetcher"]
    p.stop()
    p.flags = s.flags("remote-fetcher")
    p.start()
    s.wait_tip()
    s.wait("ready", lambda: s.get("sync-coordinator", "/readyz")[0] == 200)


def test_metrics_are_well_formed(stack):
    s = stack(blocks=50).start(gossip=True)
    s.wait_tip()
    for service in (*SERVICES, GOSSIP):
        text = s.get(service, "/metrics")[1]
        typed = set(re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.M))
        helped = set(re.findall(r"^# HELP (\S+) \S", text, re.M))
        assert typed == helped, typed ^ helped
        for line in text.splitlines():
            if line.startswith("#") or not line:
                continue
            sample = re.fullmatch(r'([a-z_]+)(?:\{(?:[a-z_]+="[^"\n]*",?)*\})? (\S+)', line)
            assert sample, line
            float(sample.group(2))
            assert sample.group(1) in typed or re.sub("_(bucket|sum|count)$", "", sample.group(1)) in typed, line
        for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds"):
            assert name in typed, f"{service}: {name}"


@pytest.mark.parametrize("where", ["flag", "environment", "file"])
def test_one_setting_in_three_places(stack, where):
    s = stack(blocks=5)
    flags = [f for f in s.flags("remote-fetcher") if not f.startswith("--http.addr")]
    address = f"127.0.0.1:{s.ports['remote-fetcher'][1]}"
    env = {}
    if where == "flag":
        flags.append(f"--http.addr={address}")
    elif where == "environment":
        env["TOWLINE_HTTP_ADDR"] = address
    else:
        config = s.dir / "fetcher.toml"
        config.write_text(f'"http.addr" = "{address}"\n')
        flags.append(f"--config={config}")
    s.processes["remote-fetcher"] = Process("remote-fetcher", flags, s.dir, env).start()
    s.wait("alive where it was told", lambda: s.get("remote-fetcher", "/livez")[0] == 200)


def test_the_older_of_two_coordinators_stays_out(stack):
    s = stack(blocks=200).start()
    s.wait_tip()
    older = s.processes["sync-coordinator"]
    s.second_coordinator()
    s.wait("the newer one commands", lambda: s.get("sync-coordinator", "/readyz")[0] == 200)
    s.wait("the older one knows", lambda: "another coordinator commands this engine-driver" in older.log.read_text())
    at = s.stats()["el"]["head"]["number"]
    s.wait("blocks go on", lambda: s.stats()["el"]["head"]["number"] >= at + 4)
    older.stop()
    s.wait_same_head()
    s.check_trace()


def test_a_newer_command_ends_the_older_import(stack):
    """A coordinator that takes over does not wait for the end of its predecessor's long catch-up."""
    s = stack(blocks=3000, el_exec_us=20000).start()
    s.wait("some blocks", lambda: s.stats()["el"]["head"]["number"] >= 60)
    older = s.processes["sync-coordinator"]
    newer = s.second_coordinator()
    s.wait("the older one knows", lambda: "another coordinator commands this engine-driver" in older.log.read_text())
    s.wait("the newer one imports", lambda: "action=import" in newer.log.read_text())
    at = s.stats()["el"]["head"]["number"]
    assert at < 3000, "the older import ran to its end"
    s.wait("blocks go on", lambda: s.stats()["el"]["head"]["number"] >= at + 60)
    s.check_trace()


def test_nothing_is_commanded_after_sigterm(stack):
    s = stack(blocks=3000, el_exec_us=20000).start()
    s.wait("some blocks", lambda: s.stats()["el"]["head"]["number"] >= 60)
    coordinator = s.processes["sync-coordinator"]
    assert coordinator.stop() == 0
    lines = coordinator.log.read_text().splitlines()
    stopping = next(i for i, line in enumerate(lines) if "  stopping  " in line)
    assert not [line for line in lines[stopping:] if "  decision  " in line or "  warn  " in line or "  error  " in line], lines[stopping:]
    driver = f"http://127.0.0.1:{s.ports['engine-driver'][0]}/towline.v1.EngineDriver/GetState"
    s.wait("its import is left", lambda: "import" not in json.loads(buf_curl(driver, "-d", "{}"))["state"])
    assert s.stats()["el"]["head"]["number"] < 3000
    s.check_trace()


def test_a_day_at_the_tip_is_five_megabytes_of_log(stack):
    """The writes of all services together, with a block every 2 s."""
    bound, blocks = 5_000_000 // 43_200, 50
    s = stack(blocks=50).start(gossip=True)
    s.wait("ready", lambda: s.get("sync-coordinator", "/readyz")[0] == 200)

    def written():
        return sum(s.processes[service].log.stat().st_size for service in (*SERVICES, GOSSIP))

    def a_quiet_stretch():
        """A busy machine may cause extra log lines: one stretch without them suffices."""
        at, before = s.stats()["el"]["head"]["number"], written()
        s.wait("blocks", lambda: s.stats()["el"]["head"]["number"] >= at + blocks)
        each = (written() - before) / blocks
        print(f"{each:.0f} bytes of log for a block, {each * 43_200 / 1e6:.1f} MB a day")
        return each < bound

    s.wait("little log", a_quiet_stretch)


def test_a_clock_that_goes_back_one_hour(stack):
    """No state across a restart is a time: the term still grows, the confirmed finalized block holds. The EL refuses the token until the clock is right, and Towline says so."""
    s = stack(blocks=200).start()
    s.wait_tip()
    kept = s.dir / "data" / "state.json"
    before = json.loads(kept.read_text())
    for name in ("engine-driver", "sync-coordinator"):
        s.processes[name].kill()
    clock, env = fake_clock(s.dir)
    set_clock(clock, "-1h")
    for name in ("engine-driver", "sync-coordinator"):
        s.processes[name].env = {**os.environ, **env}
        s.processes[name].start()
    driver = s.processes["engine-driver"]
    s.wait("the clock is named", lambda: "clocks of this host and the EL differ" in driver.log.read_text())
    for name in ("engine-driver", "sync-coordinator"):
        s.processes[name].kill()
        s.processes[name].env = dict(os.environ)
        s.processes[name].start()
    at = s.stats()["chain"]["head"]["number"]
    s.wait("newer blocks", lambda: s.stats()["el"]["head"]["number"] > at)
    s.wait_same_head()
    s.check_trace()
    after = json.loads(kept.read_text())
    assert after["term"] > before["term"] and after["confirmed_finalized"]["number"] >= before["confirmed_finalized"]["number"], (before, after)


@pytest.mark.parametrize("service", ["remote-fetcher", "sync-coordinator", GOSSIP])
def test_a_clock_that_is_set_while_it_runs(stack, service):
    """The clock goes an hour forward and two back: no wait and no age stops because of it."""
    s = stack(blocks=100, block_time=1)
    clock, env = fake_clock(s.dir)
    s.start(env=env, env_of=[service], gossip=True)
    s.wait_tip()
    for hours in ("+1h", "-1h"):
        began = time.monotonic()
        set_clock(clock, hours)
        at = s.stats()["chain"]["head"]["number"]
        s.wait(f"heads keep coming at {hours}", lambda at=at: s.stats()["el"]["head"]["number"] >= at + 4)
        print(f"{hours}: four blocks of 1 s in {time.monotonic() - began:.1f} s")
    s.wait_same_head()
    s.check_trace()


def test_an_el_of_another_genesis_is_not_written_to(stack):
    s = stack(blocks=20)
    rollup = json.loads(Path(s.endpoints["rollup"]).read_text())
    rollup["genesis"]["l2"]["hash"] = "0x" + "ab" * 32
    other = s.dir / "other-rollup.json"
    other.write_text(json.dumps(rollup))
    s.endpoints["rollup"] = str(other)
    s.start()
    driver = s.processes["engine-driver"]
    s.wait("it is named", lambda: "wrong genesis" in driver.log.read_text())
    assert "initialise the EL with this chain's genesis" in driver.log.read_text()
    assert json.loads(s.get("engine-driver", "/readyz")[1])["code"]
    assert s.stats()["engine"]["payloads"] == 0


def test_contradictory_settings(stack):
    s = stack(blocks=5)
    for service in (*SERVICES, GOSSIP):
        p = subprocess.run([Process(service, [], s.dir).binary, *s.flags(service), "--network=op-mainnet"], capture_output=True, text=True, timeout=HANG_S, check=False)
        said = (p.stdout + p.stderr).strip()
        assert p.returncode != 0 and "--network" in said and "--rollup-config" in said and len(said.splitlines()) <= 3, said


def test_every_program_is_installed(tmp_path):
    subprocess.run(["cmake", "--install", ROOT / "build/release", "--prefix", tmp_path], check=True, capture_output=True)
    installed = sorted(f.name for f in (tmp_path / "bin").iterdir())
    assert {*SERVICES, GOSSIP, "towline", "towline-devnet"} <= set(installed), installed
    for program in installed:
        p = subprocess.run([tmp_path / "bin" / program, "--version"], capture_output=True, text=True, timeout=HANG_S, check=False)
        assert p.returncode == 0 and (ROOT / "VERSION").read_text().strip() in p.stdout, (program, p)
