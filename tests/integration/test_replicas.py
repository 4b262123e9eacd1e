"""Several remote-fetchers behind one target share a range, also when replicas appear or die on a running stack."""
import re
import subprocess
import time

from stack import BIN, HANG_S, Process, free_port, http

CAP = 30  # bodies a second of each source: this limits a replica, not the machine


class Fetchers:
    """Replicas on one port of several loopback addresses, each with a source of its own, or all with one."""

    def __init__(self, stack, blocks, sources=3, extra=()):
        self.s, self.extra = stack(blocks=blocks, block_time=0, sources=sources), extra
        for n in range(sources):
            self.s.ctl("fault", node=n, blocks_per_s=CAP)
        port = free_port()
        self.addresses = [f"127.0.0.{n + 1}:{port}" for n in range(3)]
        self.target = "ipv4:" + ",".join(self.addresses)

    def start_one(self, n):
        """Starts a replica and waits until it can serve."""
        s, sources = self.s, self.s.endpoints["sources"]
        directory = s.dir / f"fetcher{n}"
        directory.mkdir()
        shared = [f for f in s.flags("remote-fetcher", [sources[n % len(sources)]]) if not f.startswith(("--grpc.addr", "--http.addr", "--evidence"))]
        # Few and small requests, so that little is on its way when a replica loses its window.
        status = f"127.0.0.1:{free_port()}"
        flags = [*shared, f"--grpc.addr={self.addresses[n]}", f"--http.addr={status}", "--max-in-flight=4", "--max-batch=4", *self.extra]
        s.processes[f"fetcher{n}"] = Process("remote-fetcher", flags, directory).start()
        s.wait(f"fetcher{n} ready", lambda: http(f"http://{status}/readyz")[0] == 200)

    def start_the_rest(self):
        s = self.s
        for name in ("engine-driver", "sync-coordinator"):
            flags = [f"--remote-fetcher={self.target}" if f.startswith("--remote-fetcher") else f for f in s.flags(name)]
            s.processes[name] = Process(name, flags, s.dir).start()

    def served(self):
        """Blocks by replica, as the driver counts them; and the sum."""
        text = self.s.get("engine-driver", "/metrics")[1]
        found = {a: int(float(v)) for a, v in re.findall(r'^towline_driver_payloads_total\{replica="([^"]+)"\} (\S+)$', text, re.M)}
        return [found.get(a, 0) for a in self.addresses], sum(found.values())

    def wait_for(self, blocks):
        return self.s.wait(f"{blocks} blocks", lambda: (got := self.served())[1] >= blocks and got)

    def finish(self, blocks):
        s = self.s
        s.wait("the whole range", lambda: s.stats()["el"]["head"]["number"] == blocks)
        numbers = [r["number"] for r in s.records() if r["kind"] == "newPayload"]
        assert numbers == list(range(1, blocks + 1)), "each block once, in order"
        s.check_trace()


def shares(now, before=(0, 0, 0)):
    got = [a - b for a, b in zip(now, before)]
    return [g / sum(got) for g in got]


def test_three_share_a_range_and_one_that_is_killed_loses_nothing(stack):
    f = Fetchers(stack, 1800)
    for n in range(3):
        f.start_one(n)
    f.start_the_rest()
    served, _ = f.wait_for(900)
    # Three sources of the same speed: each replica serves a third, less one window.
    assert min(shares(served)) >= 0.2, served
    status = subprocess.run([BIN / "towline", "status", "--sync-coordinator", f"127.0.0.1:{f.s.ports['sync-coordinator'][0]}"], capture_output=True, text=True,
                            timeout=HANG_S, check=True).stdout
    for address in f.addresses:
        assert re.search(rf"{address}  \d", status), status
    f.s.processes["fetcher1"].kill()
    f.finish(1800)
    after, total = f.served()
    assert total == 1800
    assert after[0] > served[0] and after[2] > served[2], (served, after)


def test_replicas_that_appear_on_a_running_stack_get_their_part(stack):
    f = Fetchers(stack, 2400)
    f.start_one(0)
    f.start_the_rest()
    before, sum_before = f.wait_for(200)
    assert before[0] == sum_before
    f.start_one(1)
    f.start_one(2)
    # Three sources serve 5,400 blocks in a minute; a third of that must suffice.
    served, _ = f.wait_for(sum_before + 1800)
    assert min(shares(served, before)) >= 0.2, (before, served)
    f.finish(2400)


def test_a_limit_of_requests_is_of_the_source_and_not_of_each_replica(stack):
    """Three replicas with one source and --replicas: together they send no more requests than one may."""
    rps = 20
    f = Fetchers(stack, 600, sources=1, extra=[f"--max-rps={rps}"])
    f.extra.append(f"--replicas={f.target}")
    for n in range(3):
        f.start_one(n)
    f.start_the_rest()

    def requests():
        return f.s.stats()["nodes"]["source0"]["requests"]

    f.wait_for(60)
    # A slow machine sends fewer requests.
    first, began = requests(), time.monotonic()
    f.wait_for(400)
    last, ended = requests(), time.monotonic()
    assert (last - first) / (ended - began) <= rps * 1.2, (first, last, ended - began)
    assert min(f.served()[0]) > 0
