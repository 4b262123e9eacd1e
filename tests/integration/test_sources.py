"""Sources that lie, fail, hang, or are of another chain."""
import http.server
import json
import threading
import urllib.request
import zlib

import pytest


@pytest.mark.parametrize("lie", ["header", "body"])
def test_one_lying_source_one_dead_one_honest(stack, lie):
    s = stack(blocks=300, sources=3)
    s.ctl("fault", node=0, lie=lie)
    s.ctl("fault", node=1, disconnect=True)
    s.start()
    s.wait_tip()
    s.wait_same_head()
    s.check_trace()
    assert s.evidence.exists() and s.endpoints["sources"][0].removeprefix("http://") in s.evidence.read_text()


def test_only_lying_sources_import_nothing(stack):
    s = stack(blocks=50, sources=1)
    s.ctl("fault", node=0, lie="body")
    s.start()
    s.wait("asked for blocks", lambda: s.stats()["nodes"]["source0"]["calls"] > 60)
    assert s.stats()["el"]["head"]["number"] == 0
    assert s.get("sync-coordinator", "/readyz")[0] == 503
    s.ctl("fault", node=0)
    s.wait_tip()


@pytest.mark.parametrize("fault", [{"rate_limit": True, "retry_after": 1}, {"html": True}, {"error_rate": 0.25}, {"gaps": True}, {"oversized": True},
                                   {"delay_ms": 300}], ids=lambda f: next(iter(f)))
def test_fault_of_the_preferred_source(stack, fault):
    s = stack(blocks=200, sources=2)
    s.ctl("fault", node=0, **fault)
    s.start()
    s.wait_tip()
    s.ctl("fault", node=0)
    s.wait_same_head()
    s.check_trace()


def test_source_of_another_chain_is_refused(stack):
    s = stack(blocks=100, sources=2)
    s.ctl("fault", node=0, wrong_chain=True)
    s.start()
    s.wait_tip()
    assert "901902" in s.processes["remote-fetcher"].log.read_text()
    s.wait_same_head()


def test_nothing_but_another_chain(stack):
    s = stack(blocks=50, sources=1)
    s.ctl("fault", node=0, wrong_chain=True)
    s.start(endpoints=s.endpoints["sources"])
    s.wait("the refusal is told", lambda: "901902" in s.processes["remote-fetcher"].log.read_text())
    assert s.get("sync-coordinator", "/readyz")[0] == 503
    assert s.stats()["engine"] == {"payloads": 0, "forkchoice_updates": 0}


def test_stops_in_time_with_a_hung_source_and_a_hung_client(stack):
    s = stack(blocks=300, sources=2, el_exec_us=2000).start()
    s.wait("some blocks", lambda: s.stats()["el"]["head"]["number"] >= 32)
    for node in (0, 1, "cl", "engine"):
        s.ctl("fault", node=node, hang=True)
    for p in s.processes.values():
        code = p.stop()
        assert code == 0, f"{p.name}: exit code {code}\n{p.tail()}"


class Bomber(http.server.ThreadingHTTPServer):
    """An EL that is honest, except that each full block has a junk field of 750 MB in `layers` of gzip."""

    daemon_threads, request_queue_size = True, 128
    JUNK_MB = 750

    def __init__(self, behind, layers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.encoding, self.sent = behind, ", ".join(["gzip"] * layers), 0
        first, again = b'{"jsonrpc":"2.0","id":0,"junk":"', b"0" * (1 << 20)
        times = self.JUNK_MB
        for _ in range(layers):
            first, again = self.packed(first, b"\x1f\x8b\x08\0\0\0\0\0\0\x03"), self.packed(again * max(1, (1 << 20) // len(again)))
        self.body = first + again * (times if layers == 1 else 1 + times // 700)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @staticmethod
    def packed(plain, header=b""):
        z = zlib.compressobj(9, zlib.DEFLATED, -15)
        return header + z.compress(plain) + z.flush(zlib.Z_FULL_FLUSH)

    def handle_error(self, request, client_address):
        pass  # the client hung up: an answer was too large

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        question = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(question)
        bomb = any(c["params"][-1:] == [True] or c["method"] == "debug_getRawBlock" for c in (asked if isinstance(asked, list) else [asked]))
        if bomb:
            self.server.sent += 1
            answer = self.server.body
        else:
            request = urllib.request.Request(self.server.behind, data=question, headers={"Content-Type": "application/json"})
            answer = urllib.request.urlopen(request, timeout=60).read()
        self.send_response(200)
        if bomb:
            self.send_header("Content-Encoding", self.server.encoding)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("layers", [1, 2])
def test_answers_that_unpack_to_gigabytes_cost_their_source_alone(stack, layers):
    s = stack(blocks=600, sources=2)
    bomber = Bomber(s.endpoints["sources"][0], layers)
    s.start(endpoints=[s.endpoints["cl"], bomber.url, s.endpoints["sources"][1]])
    s.wait("many came", lambda: bomber.sent >= 12)
    s.wait_tip()
    fetcher = s.processes["remote-fetcher"]
    with open(f"/proc/{fetcher.popen.pid}/status") as status:
        most = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024
    print(f"{bomber.sent} answers of {len(bomber.body)} bytes: {most} MiB resident at most")
    assert most < 250
    if layers == 1:
        evidence = [json.loads(line) for line in s.evidence.read_text().splitlines()]
        assert {(e["endpoint"].split("#")[0], e["what"]) for e in evidence} == {(bomber.url.removeprefix("http://"), "size")}
    s.wait_same_head()
    s.check_trace()
    bomber.shutdown()
