"""Runs the commands of deploy/README.md. The image is not compiled again, and a stand-in replaces op-reth and the network."""
import os
import re
import subprocess

from containers import HANG_S, ROOT, attempt, free_port


def test_each_command_works(image, client_image):
    text = (ROOT / "deploy/README.md").read_text()
    commands = [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text) for line in block.splitlines()]
    # These compile for an hour.
    commands = [c for c in commands if not c.startswith("docker build") and "towline-symbols" not in c]
    assert len(commands) == 8, commands
    env = {**os.environ, "TOWLINE_IMAGE": image, "COMPOSE_PROJECT_NAME": f"towline-readme-{os.getpid()}",
           **{name: str(free_port()) for name in ("TOWLINE_GRPC_PORT", "TOWLINE_HTTP_PORT", "TOWLINE_P2P_LISTEN_TCP", "EL_HTTP_PORT")},
           "EL_MEMORY": "1g", "TOWLINE_ENDPOINT": "http://el:8553,group=a,http://el:8554,group=b", "TOWLINE_CHECK_BLOCK_TIMES": "off", "TOWLINE_P2P_NO_DISCOVERY": "1"}
    try:
        for command in commands:
            if command.startswith("export EL_IMAGE="):
                env["EL_IMAGE"] = client_image
                continue
            r = subprocess.run(["sh", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=HANG_S)
            assert r.returncode == 0, f"{command}: {r.stdout}{r.stderr}"
            if command.endswith("towline status"):
                assert "local" in r.stdout or "TIP" in r.stdout or "IMPORTING" in r.stdout, r.stdout
    finally:
        for f in ("compose.yaml", "compose.network.yaml"):
            attempt("docker", "compose", "--env-file", ROOT / "deploy/networks/unichain.env", "-f", ROOT / "deploy" / f, "down", "--volumes", "--timeout", "5", env={**env, "EL_IMAGE": client_image})
