"""Runs one row of the table: a gateway with the row's dialect in front of the shared devnet, an empty execution client, and the services; samples their state and checks it."""
import collections
import http.client as http_client
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import table
from gateway import block_call, post
from layers import Lot
from stack import BIN, HANG_S, SERVICES, Process, Stack, http

HERE = Path(__file__).resolve().parent
LOOK_S = 0.2
# No limit below is a time but HANG_S, which only a hang reaches. Limits count events, which are slow on a slow machine, too.
NAMED_BY = 150     # requests of the fetcher without a good answer: by then a cause must be named
STABLE = 20        # looks at which it must stay named
FOLLOWED = 10      # blocks that are followed after the first head
BEHIND = 5         # blocks that a client which follows may be behind the source
READY_SHARE = 0.5  # least share of looks at such a client that show ready, and AT_TIP
LOOKS = 20         # least number of such looks, for a meaningful share
FEW = 60           # useless requests while the chain grows by FEW_BLOCKS; more for more blocks
FEW_BLOCKS = 20
ALARMS = ("TOW_STATE_DIVERGED", "TOW_STATE_NEEDS_OPERATOR", "TOW_STATE_UNKNOWN_RULES")
OVER = threading.Event()  # the whole run is over: all waits end
CODES = set(re.findall(r"^\| `(\w+)` \|", (HERE / "../../docs/errors.md").read_text().split("## gRPC")[0], re.M))


class RowStack(Stack):
    """The row's services, with an empty execution client of the shared devnet's chain. Their flags are defaults, except the endpoints file."""

    def __init__(self, directory, net, endpoints_file):
        config = json.loads(Path(net["rollup"]).read_text())
        super().__init__(directory, blocks=0, block_time=0, genesis_time=config["genesis"]["l2_time"])
        own = json.loads(Path(self.endpoints["rollup"]).read_text())
        assert own["genesis"] == config["genesis"], "the execution client has another genesis than the devnet"
        self.endpoints_file = endpoints_file

    def flags(self, service, endpoints=None, extra=()):
        flags = [f for f in super().flags(service, endpoints, extra) if not f.startswith(("--endpoint=", "--poll-interval=", "--check."))]
        return [*flags, f"--endpoints-file={self.endpoints_file}"] if service == "remote-fetcher" else flags

    def towline(self, *words):
        """The output of the command line; empty: none in time."""
        grpc = {"--sync-coordinator": "sync-coordinator", "--remote-fetcher": "remote-fetcher"}
        at = [x for flag, service in grpc.items() for x in (flag, f"127.0.0.1:{self.ports[service][0]}")]
        try:
            return subprocess.run([BIN / "towline", *at, *words], capture_output=True, text=True, timeout=HANG_S).stdout
        except subprocess.TimeoutExpired:
            return ""

    def labels(self):
        """{"latest": number, "safe": .., "finalized": ..} of the client; a label that is not set is absent."""
        tags = ("latest", "safe", "finalized")
        answers = post(self.endpoints["admin"], [block_call(t, False, i) for i, t in enumerate(tags)])
        return {tags[a["id"]]: int(a["result"]["number"], 16) for a in answers if a.get("result")}


class Refused(Exception):
    """A service did not start and said why."""


class Run:
    def __init__(self, row, net, directory):
        self.row, self.net, self.dir = row, net, directory
        self.begin = time.monotonic()
        self.stack = self.gateway = self.watch = None
        self.status, self.ready, self.labels = [], [], []  # (seconds, ..) each; `ready` with the state of that time, and how far the client was behind
        self.notes = {}
        self.stop = threading.Event()

    def now(self):
        return time.monotonic() - self.begin

    # Start and end.

    def start(self):
        row = self.row
        self.gateway = subprocess.Popen([sys.executable, HERE / "gateway.py", self.net["dir"], self.dir, row.name, *row.then], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(self.dir / "gateway.log", "w"), text=True)
        line = self.gateway.stdout.readline()
        assert line, "the gateway did not start:\n" + (self.dir / "gateway.log").read_text()
        said = json.loads(line)
        self.control = said["control"]
        file = self.dir / "endpoints.toml"
        file.write_text("".join("[[endpoint]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in e.items()) for e in said["endpoints"]))
        file.chmod(0o600)
        s = self.stack = RowStack(self.dir, self.net, file)
        self.begin, self.first_head = time.monotonic(), self.source_head()
        for service in SERVICES:
            s.processes[service] = Process(service, s.flags(service), s.dir).start()
        for service in SERVICES:
            self.wait(f"{service} alive", lambda service=service: self.alive(service))
        self.start_watch()
        for look in (self.look_at_status, self.look_at_the_rest):
            threading.Thread(target=look, daemon=True).start()

    def start_watch(self):
        at = f"127.0.0.1:{self.stack.ports['sync-coordinator'][0]}"
        self.watch = subprocess.Popen([BIN / "towline", "--sync-coordinator", at, "--json", "watch"], stdout=subprocess.PIPE, text=True)

    def alive(self, service):
        p = self.stack.processes[service]
        if p.popen.poll() is not None:
            raise Refused(p.log.read_text())
        return self.stack.get(service, "/livez")[0] == 200

    def close(self):
        self.stop.set()
        for p in (self.watch, self.gateway):
            if p:
                p.kill()
                p.wait()
        if self.stack:
            self.stack.close()

    # Sampling.

    def look_at_status(self):
        while not self.stop.is_set():
            for line in self.watch.stdout:
                for tow in json.loads(line).get("tows", []):
                    self.status.append((self.now(), tow))
            # Gives up if nobody answers in time.
            if not self.stop.wait(LOOK_S):
                self.watch.wait()
                self.start_watch()

    def look_at_the_rest(self):
        while not self.stop.wait(0.3):
            try:
                code, text = self.stack.get("sync-coordinator", "/readyz")
                state = self.status[-1][1]["state"] if self.status else ""
                labels = self.stack.labels()
                behind = self.source_head() - labels["latest"]
                self.ready.append((self.now(), code, json.loads(text).get("code", "") if text.startswith("{") else text.strip(), state, behind))
                self.labels.append((self.now(), labels))
            except (OSError, ValueError, http_client.HTTPException):
                pass

    def counters(self):
        return json.loads(http(self.control, b"")[1])

    def source_head(self):
        return int(post(self.net["sources"][0], block_call("latest"))["result"]["number"], 16)

    def endpoints(self):
        text = self.stack.towline("--json", "endpoints")
        return json.loads(text)["endpoints"] if text else []

    def requests(self):
        """The requests that the fetcher has sent, by its own count: (all, timed out, with a good answer)."""
        counts = re.findall(r'^towline_fetcher_requests_total\{endpoint="[^"]*",result="(\w+)"\} (\d+)', self.stack.get("remote-fetcher", "/metrics")[1], re.M)
        return sum(int(n) for _, n in counts), *(sum(int(n) for result, n in counts if result == of) for of in ("timeout", "ok"))

    def wait(self, what, probe):
        """The result of `probe` once it is true."""
        end = time.monotonic() + HANG_S
        while time.monotonic() < end:
            try:
                if got := probe():
                    return got
            except (OSError, http_client.HTTPException):
                pass
            assert not OVER.wait(LOOK_S), "the run was interrupted"
        raise AssertionError(f"{what}: not within {HANG_S} s")

    def wait_for_head(self, what, number):
        self.wait(what, lambda: self.stack.labels()["latest"] >= number())

    # Checks.

    def follows(self):
        row, s = self.row, self.stack
        self.wait_for_head("to the source's head", lambda: self.source_head() - 1 - row.lag)
        self.notes["caught up after s"] = round(self.now(), 1)
        self.wait("what the endpoint does at its time", lambda: self.counters()[f"0 {row.name}"]["age"] > row.first_s)
        begin, start = self.now(), self.source_head()
        self.wait_for_head(f"{FOLLOWED} blocks more", lambda: start + FOLLOWED)
        self.notes["followed 10 in s"], self.notes["behind"] = round(self.now() - begin, 1), self.source_head() - s.labels()["latest"]
        self.wait(f"at most {BEHIND + row.lag} blocks behind, {LOOKS} times", lambda: len(self.near(begin)) >= LOOKS)
        if not row.labels:
            self.wait("labels_unset", lambda: self.status and self.status[-1][1]["reason_code"] == self.ready[-1][2] == "labels_unset")
            self.nothing_says_ready()
        else:
            self.is_ready(begin)
        self.same_chain()
        self.labels_went_up()
        for at, tow in self.status:
            assert tow["state"] not in ALARMS, f"{tow['state']} ({tow['reason_code']}) after {at:.1f} s, and nothing is wrong"
            assert tow["reason_code"] in CODES, f"reason code {tow['reason_code']!r} is not in docs/errors.md"
        s.check_trace()
        c = self.counters()[f"0 {row.name}"]
        for method in row.asks:
            asked = c["methods"].get(method, 0)
            assert asked >= (1 if method == "eth_subscribe" else 5), f"{method} was asked for {asked} times: this side of the endpoint is not used"

    def near(self, begin):
        """(ready, AT_TIP) of each look since then at a client that was near enough to the source to count as following."""
        return [(code == 200, state == "TOW_STATE_AT_TIP") for at, code, _, state, behind in self.ready if at > begin and behind <= BEHIND + self.row.lag]

    def is_ready(self, begin):
        self.wait("AT_TIP, and ready", lambda: self.status and self.status[-1][1]["state"] == "TOW_STATE_AT_TIP" and self.ready[-1][1] == 200)
        looks = self.near(begin)
        for i, what in enumerate(("ready", "AT_TIP")):
            yes = sum(look[i] for look in looks)
            self.notes[what] = f"{yes} of {len(looks)} looks"
            assert yes >= READY_SHARE * len(looks), f"{what} only in {self.notes[what]} while following"

    def same_chain(self):
        head = self.stack.labels()["latest"]
        calls = [block_call(hex(n), False, n) for n in range(head + 1)]
        hashes = [{a["id"]: a["result"] and a["result"]["hash"] for a in post(url, calls)} for url in (self.stack.endpoints["admin"], self.net["sources"][0])]
        other = [n for n in hashes[0] if hashes[0][n] != hashes[1][n]]
        assert len(hashes[0]) == head + 1 and not other, f"blocks {other[:5]} are not those of the source"

    def labels_went_up(self):
        best = collections.Counter()
        for at, labels in self.labels:
            for label, n in labels.items():
                assert n >= best[label], f"{label} went back from {best[label]} to {n} after {at:.1f} s"
                best[label] = n
        if self.row.labels:
            assert best["safe"] > 0 and best["finalized"] > 0, f"no safe or finalized block: {dict(best)}"

    def few_vain_requests(self):
        vain, grown = self.counters()[f"0 {self.row.name}"]["nothing"], self.source_head() - self.first_head
        # A gateway that refuses by lot refuses its share of all requests, however many a slow machine makes of them.
        share = sum(1 / layer.of for layer in self.row.dialect.layers if isinstance(layer, Lot))
        allowed = max(FEW * max(1, grown / FEW_BLOCKS), self.requests()[0] * share * 4 / 3)
        self.notes["requests that brought nothing"] = f"{vain} of {self.requests()[0]} in {grown} blocks"
        assert vain <= allowed, f"{vain} requests brought nothing; {allowed:.0f} are allowed"

    def names_it(self):
        row, s = self.row, self.stack

        def named():
            tow, ready = self.status[-1][1] if self.status else {}, self.ready[-1] if self.ready else (0, 0, "")
            self.nothing_says_ready()
            self.notes["status"], self.notes["readyz"] = tow.get("reason_code"), ready[2]
            if tow.get("reason_code") not in row.codes or ready[2] not in row.codes:
                return None
            bad = (self.endpoints() or [{}])[0]
            self.notes["endpoints"] = bad.get("reason_code", "(no such field)")
            # The full reason may come later than the code.
            said = self.notes["reasons"] = (tow["reason"], bad.get("reason", ""))
            return bad.get("reason_code") in row.codes and all(reason and row.text in reason for reason in said)

        def named_in_time():
            # Requests that timed out show a busy machine, not the endpoint.
            sent, late, good = self.requests()
            if named():
                return True
            assert sent - late - good <= NAMED_BY, f"not named by {sent} requests, {good} of them answered well, {late} too late"
            return False

        what = f"{' or '.join(row.codes)} with {row.text!r} named by status, readiness and endpoints"
        self.wait(what, named_in_time)
        sent, late, _ = self.requests()
        self.notes["named after s"], self.notes["requests"] = round(self.now(), 1), sent - late

        def stays():
            """The code stayed for a number of looks. The count starts again after a request that timed out, which has a code of its own, and after the end of a
            quarantine, when the endpoint is tried again (each quarantine is longer than the one before)."""
            self.wait(what, named)
            quarantined = any(int(e.get("integrity_failures", 0)) for e in self.endpoints())
            at, (sent, late, _) = self.now(), self.requests()
            self.wait(f"{STABLE} looks", lambda: sum(t > at for t, *_ in self.ready) >= STABLE)
            seen = {tow["reason_code"] for t, tow in self.status if t > at} | {code for t, _, code, *_ in self.ready if t > at}
            sent_now, late_now, _ = self.requests()
            if late_now > late or (quarantined and sent_now > sent):
                return False
            assert len(seen) == 1, f"the code changes: {sorted(seen)}"
            return True

        self.wait("a code that stays", stays)
        del self.notes["reasons"]
        self.nothing_says_ready()
        text = s.towline("status")
        assert not re.search(r"\b0 behind", text), "status says '0 behind':\n" + text

    def nothing_says_ready(self):
        for at, code, *_ in self.ready:
            assert code != 200, f"ready after {at:.1f} s"
        for at, tow in self.status:
            assert tow["state"] != "TOW_STATE_AT_TIP", f"AT_TIP ({tow['reason_code']}) after {at:.1f} s"

    def refused_at_start(self, said):
        """A service that ends at once with one line of explanation is as good as a reason code."""
        assert self.row.must == table.NAMES_IT and self.row.codes, "a service did not start:\n" + said
        lines = [line for line in said.splitlines() if line]
        assert len(lines) == 1 and self.row.text in lines[0], f"not one line with {self.row.text!r}:\n" + said

    def sets_aside(self):
        row = self.row

        def shown():
            bad = (self.endpoints() or [{}])[0]
            self.notes["endpoints"] = f"{bad.get('state')} {bad.get('reason_code', '(no such field)')}"
            return bad.get("reason_code") in row.codes and bad

        bad = self.wait(f"{' or '.join(row.codes)} in endpoints", shown)
        assert bad["reason"] and row.text in bad["reason"], f"endpoints does not say {row.text!r}: {bad['reason']!r}"

    def check(self):
        """Runs and checks the row. Returns what is wrong, with all samples; empty: all is well."""
        must = self.row.must
        try:
            try:
                self.start()
            except Refused as e:
                self.refused_at_start(str(e))
                return ""
            if must == table.NAMES_IT:
                self.names_it()
                return ""
            self.follows()
            if must == table.FOLLOWS_SLOWER:
                self.few_vain_requests()
            if must == table.ASIDE:
                self.sets_aside()
            return ""
        except AssertionError as e:
            return f"{self.row.name} ({must}): {e}\n\n{self.seen()}"
        finally:
            self.close()

    # The report of a failure.

    def seen(self):
        s, out = self.stack, [f"the endpoint: {self.row.endpoint}", f"seen: {self.notes}"]
        changes = [(at, f"{t['state'].removeprefix('TOW_STATE_')} {t['reason_code']}: {t['reason']}") for at, t in self.status] + [(at, f"readyz {c} {code}") for at, c, code, *_ in self.ready]
        last = {}
        for at, what in sorted(changes):
            kind = what.startswith("readyz")
            # The numbers in a reason change all the time.
            if re.sub(r"\d+", "", what) != last.get(kind):
                last[kind] = re.sub(r"\d+", "", what)
                out.append(f"{at:7.1f} s  {what}")
        out[40:-20] = ["..."] if len(out) > 60 else out[40:-20]
        if self.labels:
            steps = self.labels[:: max(1, len(self.labels) // 12)] + self.labels[-1:]
            out.append("client: " + ", ".join(f"{at:.0f} s {x.get('latest')}/{x.get('safe', '-')}/{x.get('finalized', '-')}" for at, x in steps))
        try:
            for name, c in self.counters().items():
                last_requests = c.pop("last")
                out += [f"gateway {name}: {c}", *("  " + line for line in last_requests[-25 if name.startswith("0") else -5 :])]
        except (OSError, ValueError, AttributeError) as e:
            out.append(f"no counters of the gateway: {e!r}")
        out.append((self.dir / "gateway.log").read_text())
        if s and s.processes:
            out += [s.towline("endpoints"), s.towline("status")]
            out += [p.tail(12) for p in s.processes.values()]
        return "\n".join(out)
