"""What each output says of each fault, and after how many seconds. The table is printed."""
import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.parse

from stack import BIN, HANG_S, fake_clock, set_clock
from test_services import buf_curl

HEAD_AGE, SAFE_AGE, ENGINE_TIMEOUT = 5, 12, 3


class Source:
    """A proxy in front of a source, which can freeze it or remove its labels."""

    def __init__(self, url):
        target, own = urllib.parse.urlparse(url).netloc, self
        self.frozen, self.unset = {}, False

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = own.rewritten(self.rfile.read(int(self.headers["Content-Length"])))
                upstream = http.client.HTTPConnection(target, timeout=HANG_S)
                upstream.request("POST", "/", body, {"Content-Type": "application/json"})
                answer = upstream.getresponse()
                data = answer.read()
                upstream.close()
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def rewritten(self, body):
        for tag, number in self.frozen.items():
            body = body.replace(f'"{tag}"'.encode(), f'"{hex(number)}"'.encode())
        if self.unset:
            body = re.sub(rb'"(safe|finalized)"', b'"0xffffffff"', body)
        return body


# What is as true of a fault, and is said of it where the machine is slow.
LATER = {
    # A client that is slow comes nearer now and then, with labels that wait, or falls back until many blocks are imported at once.
    "EL behind": ("labels_stuck", "importing"),
    # After half a minute the connection is given up.
    "fetcher hung": ("gossip_only",),
}


def test_what_is_said_of_each_fault(stack):
    s = stack(blocks=100, sources=2, block_time=1)
    sources = [Source(u) for u in s.endpoints["sources"]]
    for x in sources:
        x.unset = True
    clock, faked = fake_clock(s.dir)
    s.start(endpoints=[x.url for x in sources], gossip=True, env={"TOWLINE_ENGINE_TIMEOUT": str(ENGINE_TIMEOUT), **faked}, env_of=["engine-driver"],
            coordinator_extra=[f"--ready.max-head-age={HEAD_AGE}", f"--ready.max-safe-age={SAFE_AGE}"])
    grpc = f"127.0.0.1:{s.ports['sync-coordinator'][0]}"

    def readyz():
        status, text = s.get("sync-coordinator", "/readyz")
        return status, json.loads(text)["code"]

    def said():
        """(status, --check, /readyz, metric, health), which must agree; and whether a person is needed."""
        status = subprocess.run([BIN / "towline", "status", "--json", "--check", "--sync-coordinator", grpc], capture_output=True, text=True, timeout=HANG_S, check=False)
        tow = json.loads(status.stdout)["tows"][0]
        recover = subprocess.run([BIN / "towline", "recover", "--json", "--sync-coordinator", grpc], capture_output=True, text=True, timeout=HANG_S, check=False)
        advice = json.loads(recover.stdout)["tows"][0]
        assert recover.returncode == (4 if advice["needs_person"] else 0) and advice["needs_person"] == bool(advice["steps"]), recover
        metric = re.search(r'^towline_coordinator_ready\{.*\} (\d)', s.get("sync-coordinator", "/metrics")[1], re.M)[1]
        health = re.search(r'"status": *"(\w+)"', buf_curl(f"http://{grpc}/grpc.health.v1.Health/Check", "-d", "{}"))[1]
        return tow["state"].removeprefix("TOW_STATE_"), tow["reason_code"], status.returncode, *readyz(), int(metric), health, recover.returncode

    def stopped(service, on):
        s.processes[service].popen.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def frozen(on):
        chain = s.stats()["chain"]
        for x in sources:
            x.frozen = {"latest": chain["head"]["number"], "safe": chain["safe"]["number"], "finalized": chain["finalized"]["number"]} if on else {}

    def unset(on):
        for x in sources:
            x.unset = on

    def safe_stands(on):
        s.ctl("labels", **({} if on else {"follow": True}))

    def disk_full(on):
        """Makes the driver's state file irreplaceable, or undoes that."""
        in_the_way = s.dir / "data" / "state.json.new"
        if not on:
            return in_the_way.rmdir()
        for _ in range(HANG_S * 100):  # finds a moment at which the file is not being replaced
            try:
                return in_the_way.mkdir()
            except FileExistsError:
                time.sleep(0.01)
        raise AssertionError("no moment to fill the disk")

    def clock_off(on):
        """Moves the driver's clock: the EL refuses its tokens."""
        set_clock(clock, "+3600" if on else "+0")

    faults = [
        ("labels unset", unset, "WAITING_FOR_SOURCE", "labels_unset", False),  # from the start
        ("EL hung", lambda on: s.ctl("fault", node="engine", **({"hang": True} if on else {})), "WAITING_FOR_ENGINE", "engine_unreachable", False),
        ("EL gone", lambda on: s.ctl("fault", node="engine", **({"disconnect": True} if on else {})), "WAITING_FOR_ENGINE", "engine_unreachable", False),
        ("EL behind", lambda on: s.ctl("fault", node="engine", **({"delay_ms": 1000 * ENGINE_TIMEOUT // 2} if on else {})), "IMPORTING", "behind", False),
        ("driver hung", lambda on: stopped("engine-driver", on), "WAITING_FOR_ENGINE", "driver_unreachable", False),
        ("fetcher hung", lambda on: stopped("remote-fetcher", on), "WAITING_FOR_SOURCE", "source_silent", False),
        ("source frozen", frozen, "WAITING_FOR_SOURCE", "source_stale", False),
        ("chain halted", lambda on: s.ctl("produce", on=not on), "WAITING_FOR_SOURCE", "chain_halted", True),
        ("safe stands still", safe_stands, "WAITING_FOR_SOURCE", "safe_stalled", False),
        ("disk full", disk_full, "NEEDS_OPERATOR", "state_not_saved", False),
        ("clock off", clock_off, "WAITING_FOR_ENGINE", "engine_auth_failed", False),
    ]
    lines = [f"{'fault':<18} {'after':>6}  {'status':<20} {'reason code':<20} --check  /readyz  ready  health       recover"]
    try:
        for what, fault, state, code, ready in faults:
            if what != "labels unset":
                s.wait("at the tip", lambda: readyz() == (200, "at_tip"))
            codes = (code, *LATER.get(what, ()))
            begin = time.monotonic()
            fault(True)
            s.wait(f"{what}: {code}", lambda codes=codes: readyz()[1] in codes)
            after = time.monotonic() - begin
            # The state may change between two of the questions.
            seen = s.wait(f"{what}: all say so", lambda codes=codes: next((x for x in [said()] if x[1] == x[4] and x[1] in codes and (x[3] == 200) == (x[5] == 1)), None))
            lines.append(f"{what:<18} {after:>4.1f} s  {seen[0]:<20} {seen[1]:<20} {seen[2]:>7}  {seen[3]:>7}  {seen[5]:>5}  {seen[6]:<11} {seen[7]:>8}")
            fault(False)
            assert seen[0] == state or seen[1] != code, f"{what}: {seen}"
            assert seen[7] == 4 or code in ("behind", "chain_halted"), f"{what}: {seen}"
            assert (seen[2], seen[3], *seen[5:7]) == ((0, 200, 1, "SERVING") if ready else (4, 503, 0, "NOT_SERVING")), f"{what}: {seen}"
        s.wait("at the tip", lambda: readyz() == (200, "at_tip"))
        assert said()[7] == 0, "nobody is needed"
    finally:
        print("\n" + "\n".join(lines))
        for p in s.processes.values():
            os.kill(p.popen.pid, signal.SIGCONT)


def test_the_clock_steps_by_an_hour_and_nothing_stands_still(stack, monkeypatch, tmp_path):
    """The clocks of EL, driver and coordinator step together, as on one host, since an EL checks a token's time: forward, back, and back again."""
    clock, env = fake_clock(tmp_path)
    with monkeypatch.context() as m:
        for k, v in env.items():
            m.setenv(k, v)
        s = stack(blocks=50, block_time=0.5)
    s.start()
    for name in ("engine-driver", "sync-coordinator"):
        s.processes[name].kill()
        s.processes[name].env = {**os.environ, **env}
        s.processes[name].start()
    s.wait_tip()
    longest = 0
    for step in ("+3600", "-3600", "+0"):
        set_clock(clock, step)
        at, begin = s.stats()["el"]["head"]["number"], time.monotonic()
        s.wait(f"6 blocks after {step}", lambda n=at: s.stats()["el"]["head"]["number"] >= n + 6)
        longest = max(longest, time.monotonic() - begin)
        s.wait("ready", lambda: s.get("sync-coordinator", "/readyz")[0] == 200)
    print(f"\n6 blocks of half a second took {longest:.1f} s at most around a step")
    assert longest < 60
    s.wait_same_head()
    s.check_trace()
