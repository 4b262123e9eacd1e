"""deps.sh leaves no policy-rc.d behind, however it ends, and never removes an existing one.

The test has a dpkg-query that knows no package, an apt-get that installs none, and a policy file of its own, so it changes nothing on this machine.
"""
import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

DEPS = Path(__file__).resolve().parent / "deps.sh"
# Reports that it runs (and whether a policy exists), then waits for its exit code.
APT_GET = """#!/bin/sh
[ "$1" = update ] || exit 0
[ -x "$POLICY_RC_D" ] && echo policy >running || echo "no policy" >running
read -r code <leave
exit "$code"
"""


class Deps(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.dir = Path(temporary.name)
        self.policy = self.dir / "policy-rc.d"
        for name, text in {"dpkg-query": "#!/bin/sh\n", "id": "#!/bin/sh\necho 0\n", "apt-get": APT_GET}.items():
            (self.dir / name).write_text(text)
            (self.dir / name).chmod(0o755)
        for fifo in ("running", "leave"):
            os.mkfifo(self.dir / fifo)

    def begin(self):
        """deps.sh at the point where its apt-get waits, in a process group of its own as in a terminal."""
        env = {**os.environ, "PATH": f"{self.dir}:{os.environ['PATH']}", "POLICY_RC_D": str(self.policy)}
        p = subprocess.Popen(["/bin/sh", DEPS], cwd=self.dir, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(p.communicate)
        self.assertEqual((self.dir / "running").read_text(), "policy\n")
        return p

    def end(self, p, apt_exit_code):
        (self.dir / "leave").write_text(f"{apt_exit_code}\n")
        return p.wait()

    def test_a_signal_leaves_no_policy_behind(self):
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(s.name):
                p = self.begin()
                os.killpg(p.pid, s)
                self.assertEqual(p.wait(), 128 + s)
                self.assertFalse(self.policy.exists())
                self.policy.unlink(missing_ok=True)

    def test_nor_does_an_end_of_its_own(self):
        for code in (0, 100):
            with self.subTest(code):
                self.assertEqual(self.end(self.begin(), code), code)
                self.assertFalse(self.policy.exists())

    def test_a_policy_of_the_machine_stays(self):
        self.policy.write_text("of the machine")
        self.policy.chmod(0o755)
        p = self.begin()
        os.killpg(p.pid, signal.SIGTERM)
        p.wait()
        self.assertEqual(self.policy.read_text(), "of the machine")


if __name__ == "__main__":
    unittest.main()
