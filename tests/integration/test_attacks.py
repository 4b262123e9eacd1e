"""Attacks on open ports: the service lives on, its memory stays bounded, and commands still get through."""
import fcntl
import os
import re
import resource
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from http2 import Connection
from stack import BIN, HANG_S, SERVICES, Process


def towline(stack, *command, env=None):
    """Runs `towline`; returns exit code and output."""
    own = [f"--sync-coordinator=127.0.0.1:{stack.ports['sync-coordinator'][0]}", f"--remote-fetcher=127.0.0.1:{stack.ports['remote-fetcher'][0]}"]
    p = subprocess.run([BIN / "towline", *own, *command], capture_output=True, text=True, timeout=HANG_S, check=False, env={**os.environ, **(env or {})}, cwd=stack.dir)
    return p.returncode, p.stdout + p.stderr


def resident_mib(process):
    with open(f"/proc/{process.popen.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) // 1024


def connections(port, n):
    made = []
    for _ in range(n):
        try:
            made.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        except OSError:
            break  # the queue of the listening socket is full
    return made


@pytest.fixture
def few_descriptors():
    """The limits that systemd and shells give: 1,024 descriptors unless a program raises its soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda s, h=hard: resource.setrlimit(resource.RLIMIT_NOFILE, (s, h))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("allowed", [None, 256], ids=["may-have-more", "may-not"])
def test_idle_connections_leave_grpc_its_descriptors(stack, few_descriptors, allowed):
    s = stack(blocks=20)
    few_descriptors(1024)
    s.start()
    few_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    fetcher = s.processes["remote-fetcher"]
    pid = fetcher.popen.pid
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] == resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    if allowed:  # they are used up in any case
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (allowed, allowed))
    held = connections(s.ports["remote-fetcher"][1], 1070) + connections(s.ports["remote-fetcher"][0], 1070)
    assert len(held) == 2140 or allowed

    def answers():
        if allowed and fetcher.popen.poll() is not None:
            # gRPC stops listening once it had no free descriptor. The service noticed and ended, for its supervisor to restart it.
            assert fetcher.popen.returncode == 3 and "a loop hangs, ending now  loop=grpc" in fetcher.log.read_text()
            fetcher.start()
        return towline(s, "endpoints")[0] == 0

    s.wait("gRPC answers", answers)
    s.wait("alive", lambda: s.get("remote-fetcher", "/livez")[0] == 200)
    # No connection is kept.
    for c in held:
        c.settimeout(HANG_S)
        try:
            while c.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert allowed or fetcher.popen.pid == pid
    assert fetcher.popen.poll() is None


def test_watchers_leave_room_for_commands(stack):
    s = stack(blocks=20).start()
    s.wait_tip()
    open_ = {service: [Connection(s.ports[service][0]) for _ in range(6)] for service in SERVICES}
    watches = {"remote-fetcher": "RemoteFetcher/WatchHeads", "sync-coordinator": "SyncCoordinator/WatchSyncStatus", "engine-driver": "EngineDriver/WatchState"}
    for service, several in open_.items():
        for c in several:
            for _ in range(50):
                c.call(f"/towline.v1.{watches[service]}")
            for _ in range(40):
                c.call("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", declared=1)
    assert towline(s, "pause") == (0, "paused: `towline resume` goes on\n")
    assert towline(s, "resume")[0] == 0
    assert towline(s, "endpoints")[0] == 0
    head = s.stats()["el"]["head"]["number"]
    s.wait("it tows on", lambda: s.stats()["el"]["head"]["number"] > head + 3)
    code, said = towline(s, "watch")
    assert code != 0 and "places for such streams are taken" in said, said


def test_streams_cost_no_thread(stack):
    """The threads that answer one stream answer fifty. gRPC's own threads, a few, come and go."""
    s = stack(blocks=20).start()
    s.wait_tip()
    watches = {"remote-fetcher": "RemoteFetcher/WatchHeads", "sync-coordinator": "SyncCoordinator/WatchSyncStatus", "engine-driver": "EngineDriver/WatchState"}

    def threads(service):
        return int(re.search(r"^Threads:\s+(\d+)", Path(f"/proc/{s.processes[service].popen.pid}/status").read_text(), re.M)[1])

    connections = {service: Connection(s.ports[service][0]) for service in watches}
    with_one = {}
    for service, method in watches.items():
        connections[service].call(f"/towline.v1.{method}")
        with_one[service] = threads(service)
        for _ in range(49):
            connections[service].call(f"/towline.v1.{method}")
    head = s.stats()["el"]["head"]["number"]
    s.wait("it tows on", lambda: s.stats()["el"]["head"]["number"] > head + 3)
    for service in watches:
        assert threads(service) <= with_one[service] + 8, (service, with_one[service], threads(service))


def test_endpoints_cost_no_thread(stack):
    """The threads that ask one endpoint ask fifty."""
    s = stack(blocks=20)
    counts = {}
    for n in (1, 50):
        dead = [f"http://127.0.0.1:1/{k}" for k in range(n - 1)]
        before = s.stats()["nodes"]["source0"]["calls"]
        p = s.processes["remote-fetcher"] = Process("remote-fetcher", s.flags("remote-fetcher", [s.endpoints["sources"][0], *dead]), s.dir).start()
        s.wait("it asks", lambda before=before: s.stats()["nodes"]["source0"]["calls"] > before + 20)
        counts[n] = int(re.search(r"^Threads:\s+(\d+)", Path(f"/proc/{p.popen.pid}/status").read_text(), re.M)[1])
        assert p.stop() == 0
    assert counts[50] <= counts[1] + 4, counts


def test_many_messages_that_are_too_large_take_little_memory(stack):
    s = stack(blocks=20).start()
    s.wait_tip()
    before = {service: resident_mib(s.processes[service]) for service in SERVICES}
    calls = {"remote-fetcher": "RemoteFetcher/GetHeaders", "sync-coordinator": "SyncCoordinator/Pause", "engine-driver": "EngineDriver/ImportRange"}

    # Small unknown fields: decoded they would be eight times as large.
    message = b"\x78\x00" * (29 << 20)

    def send(service):
        c = Connection(s.ports[service][0])
        try:
            c.more(c.call(f"/towline.v1.{calls[service]}", declared=58 << 20), message)
        except OSError:
            pass  # gRPC closes connections when its memory quota is used up
        c.close()

    threads = [threading.Thread(target=send, args=(service,)) for service in SERVICES for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    grown = {service: resident_mib(s.processes[service]) - before[service] for service in SERVICES}
    assert max(grown.values()) < 128, grown
    s.wait_tip()


def test_the_token(stack, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4 + "\n")
    other = tmp_path / "other"
    other.write_text("fedcba9876543210" * 4 + "\n")
    s = stack(blocks=20).start(env={"TOWLINE_AUTH_TOKEN_FILE": str(token)})
    s.wait_tip()
    assert towline(s, "status")[0] == 0
    code, said = towline(s, "pause")
    assert code == 1 and "--auth.token-file" in said, said
    code, said = towline(s, f"--auth.token-file={other}", "pause")
    assert code == 1 and "same file" in said, said
    assert towline(s, "pause", env={"TOWLINE_AUTH_TOKEN_FILE": str(token)})[0] == 0
    assert towline(s, f"--auth.token-file={token}", "resume")[0] == 0
    for p in s.processes.values():
        assert token.read_text().strip() not in p.log.read_text() and "fedcba" not in p.log.read_text()


def test_a_log_that_nobody_reads_stops_nothing(stack):
    s = stack(blocks=20)
    reader, writer = os.pipe()
    os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)))
    for service in SERVICES:
        p = s.processes[service] = Process(service, s.flags(service, extra=["--log.level=trace"]), s.dir)
        p.popen = subprocess.Popen([p.binary, *p.flags], stdout=writer, stderr=writer)
    os.close(writer)
    s.wait_tip()
    head = s.stats()["el"]["head"]["number"]
    s.wait("it tows on", lambda: s.stats()["el"]["head"]["number"] > head + 3)
    os.close(reader)
    lost = re.search(r"^towline_log_lines_dropped_total (\d+)", s.get("engine-driver", "/metrics")[1], re.M)
    assert int(lost[1]) > 0
