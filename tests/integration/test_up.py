"""`towline up` as an operator runs it: in a terminal, into a log, and with a service that hangs."""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path

import pytest
from stack import BIN, HANG_S

COLUMNS = 50


class Up:
    """`towline up` with a stack's devnet; its output is a terminal of `COLUMNS` columns, or a pipe."""

    def __init__(self, stack, terminal, env=None, base_port=0):
        e = stack.endpoints
        self.dir = stack.dir / f"up{base_port}"
        command = [BIN / "towline", "up", f"--base-port={base_port}", "--p2p.disable", "--check.block-times=off", f"--engine={e['engine']}", f"--jwt-secret={e['jwt']}",
                   f"--rollup-config={e['rollup']}", f"--data-dir={self.dir}", *(f"--source={s}" for s in e["sources"])]
        if terminal:
            self.out, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        else:
            self.out, theirs = os.pipe()
        self.said = ""
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", **(env or {})})
        os.close(theirs)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        try:
            while data := os.read(self.out, 65536):
                self.said += data.decode(errors="replace")
        except OSError:
            pass  # the other end of the terminal is closed

    def child(self, service):
        """The process id of a service; None: it does not run."""
        for p in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, rest = re.fullmatch(r"\d+ \((.*)\) (.*)", p.read_text().strip()).groups()
            except OSError:
                continue  # the process has just ended
            if name == service[:15] and int(rest.split()[1]) == self.popen.pid:
                return int(p.parent.name)
        return None

    def ended(self):
        """The exit code, once `towline up` has ended by itself."""
        code = self.popen.wait(HANG_S)
        self.reader.join(HANG_S)
        return code

    def stop(self):
        self.popen.send_signal(signal.SIGTERM)
        return self.ended()


@pytest.fixture
def up():
    made = []

    def make(*args, **more):
        made.append(Up(*args, **more))
        return made[-1]

    yield make
    for u in made:
        if u.popen.poll() is None:
            u.stop()


@pytest.mark.parametrize("terminal, env", [(True, {}), (True, {"NO_COLOR": "1"}), (True, {"TERM": "dumb"}), (False, {})],
                         ids=["terminal", "NO_COLOR", "dumb", "pipe"])
def test_the_live_view_fits_where_it_is_shown(stack, up, terminal, env):
    s = stack(blocks=50)
    u = up(s, terminal, env)
    s.wait("at the tip", lambda: "AT_TIP" in u.said)
    assert u.stop() == 0
    drawn = terminal and "TERM" not in env
    assert ("\x1b[" in u.said) == drawn
    assert ("\x1b[32m" in u.said) == (drawn and not env), "green, where colours are wanted"
    if drawn:
        # Each drawn line must be one terminal line: a longer one would take two, and the next drawing would be too low.
        area = u.said[u.said.index("\x1b[J"):u.said.index("towline up: stopping")]
        for line in re.sub(r"\x1b\[[0-9]*[A-Za-z]", "", area).splitlines():
            assert len(line) < COLUMNS, line


def test_a_service_that_hangs_is_started_again(stack, up):
    s = stack(blocks=50)
    u = up(s, terminal=False)
    s.wait_tip()
    hung = u.child("sync-coordinator")
    os.kill(hung, signal.SIGSTOP)
    s.wait("it is ended", lambda: "sync-coordinator does not answer /livez, ending it" in u.said)
    s.wait("another one", lambda: u.child("sync-coordinator") not in (None, hung))
    at = s.stats()["chain"]["head"]["number"]
    s.wait("newer blocks", lambda: s.stats()["el"]["head"]["number"] > at)
    children = [u.child(service) for service in ("remote-fetcher", "engine-driver", "sync-coordinator")]
    assert None not in children
    assert u.stop() == 0
    assert not any(Path(f"/proc/{c}").exists() for c in children)


def test_without_p2p_nobody_asks_for_it_and_nothing_is_warned_of(stack, up):
    s = stack(blocks=50)
    u = up(s, terminal=False)
    s.wait("at the tip", lambda: "AT_TIP" in u.said)
    logs = {p.stem: p.read_text() for p in u.dir.glob("*.log")}
    assert sorted(logs) == ["engine-driver", "remote-fetcher", "sync-coordinator"]
    for service, log in logs.items():
        assert "p2p-gossip" not in log, f"{service}: {log}"
    assert " info  endpoint probed " in logs["remote-fetcher"]
    assert " warn " not in logs["remote-fetcher"], logs["remote-fetcher"]
    assert u.stop() == 0


def test_where_another_runs_it_says_so_and_shows_nothing_of_the_other(stack, up):
    s = stack(blocks=50)
    for base_port in range(20000, 32000, 100):  # below the ports that the kernel gives away
        first = up(s, terminal=False, base_port=base_port)
        s.wait("it runs, or not", lambda u=first: "AT_TIP" in u.said or u.popen.poll() is not None)
        if first.popen.poll() is None:
            break
    second = Up(stack(blocks=20), terminal=False, base_port=base_port)
    assert second.ended() == 1
    assert "--base-port" in second.said and "does another towline up run here?" in second.said, second.said
    assert "AT_TIP" not in second.said and len(second.said.splitlines()) == 1, second.said
    assert first.popen.poll() is None and first.stop() == 0
