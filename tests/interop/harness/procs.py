"""Child processes with a log file each, free ports, and waits that fail loudly."""
import atexit
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
from environment import forget_towline_variables  # noqa: E402
import patient  # noqa: E402, F401 part of this harness
from ports import free_port  # noqa: E402, F401

forget_towline_variables()

_alive = []


class NotReady(AssertionError):
    """A process does not come up or does not reach a state."""


# Only a hang takes this long, even on the slowest machine. No test measures speed; the bench does.
HANG_S = 900


def wait_for(what, probe, every=0.1, procs=()):
    """Polls until probe() is truthy and returns that. When it hangs, or when one of procs exits, raises NotReady with the ends of the logs."""
    deadline, last = time.monotonic() + HANG_S, None
    while True:
        try:
            value = probe()
            if value:
                return value
            last = f"last answer: {value!r}"
        except Exception as e:  # noqa: BLE001 not listening yet, or an answer that is not there yet
            last = f"last failure: {type(e).__name__}: {e}"
        dead = [p for p in procs if p.exit_code() is not None]
        late = time.monotonic() > deadline
        if dead or late:
            why = f"not within {HANG_S} s" if late else "a process exited: " + ", ".join(f"{p.name} ({p.exit_code()})" for p in dead)
            raise NotReady(f"{what}: {why}; {last}\n" + "\n".join(p.tail() for p in procs))
        time.sleep(every)


class Proc:
    """A program that can be started again with the same arguments; its output is appended to one log file."""

    def __init__(self, name, argv, log_dir, env=None, cwd=None):
        self.name, self.argv = name, [str(a) for a in argv]
        self.log = Path(log_dir) / f"{name}.log"
        self.env, self.cwd = env, cwd
        self.popen = None

    def start(self):
        assert self.exit_code() is not None or self.popen is None, f"{self.name} is running"
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.cwd,
                                          env={**os.environ, **(self.env or {})})
        _alive.append(self)
        return self

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def exit_code(self):
        return None if self.popen is None else self.popen.poll()

    def kill(self):
        """SIGKILL; the process is gone when this returns."""
        if self.running():
            self.popen.kill()
        if self.popen:
            self.popen.wait()
        if self in _alive:
            _alive.remove(self)

    def pause(self):
        self.popen.send_signal(signal.SIGSTOP)

    def resume(self):
        self.popen.send_signal(signal.SIGCONT)

    def stop(self, seconds=60):
        """SIGTERM, then SIGKILL if it does not end in time; returns the exit code."""
        if self.running():
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self.kill()
        return self.exit_code()

    def tail(self, lines=25):
        try:
            text = self.log.read_text(errors="replace").splitlines()[-lines:]
        except OSError:
            text = ["(no log)"]
        return f"--- end of {self.log}\n" + "\n".join(text)


@atexit.register
def _kill_all():
    for p in list(_alive):
        p.kill()
