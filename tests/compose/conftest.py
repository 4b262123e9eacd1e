import os

import pytest
from containers import attempt, build, build_image


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """The image of Towline; TEST_IMAGE names one that is already built."""
    if given := os.environ.get("TEST_IMAGE"):
        yield given
        return
    name = build_image(tmp_path_factory.mktemp("context"), f"towline-test:{os.getpid()}")
    yield name
    attempt("docker", "rmi", "--force", name)


@pytest.fixture(scope="session")
def next_image(image, tmp_path_factory):
    """The same programs as another version of the image."""
    context = tmp_path_factory.mktemp("next")
    (context / "Dockerfile").write_text(f"FROM {image}\nLABEL org.opencontainers.image.version=next\n")
    name = build(context, f"towline-test-next:{os.getpid()}")
    yield name
    attempt("docker", "rmi", "--force", name)


# Started with op-reth's command line: a devnet that poses as the network, with the Engine API on 8551, a CL on 8553 and ELs after it.
STAND_IN = """#!/bin/sh
case "$0" in *another-chain) network=base-mainnet ;; *) network=unichain-mainnet ;; esac
exec towline-devnet --dir /data/devnet --network $network --jwt-secret /jwt/jwt.hex --host 0.0.0.0 --base-port 8550 --sources 2 --blocks 300 --block-time 1 \\
  --el-profile op-reth
"""


@pytest.fixture(scope="session")
def client_image(image, tmp_path_factory):
    """A stand-in for an execution client and for the endpoints of its chain."""
    context = tmp_path_factory.mktemp("client")
    (context / "op-reth").write_text(STAND_IN)
    (context / "op-reth").chmod(0o755)
    (context / "Dockerfile").write_text(f"FROM {image}\nCOPY op-reth /usr/local/bin/op-reth\nCOPY op-reth /usr/local/bin/another-chain\n")
    name = build(context, f"towline-test-client:{os.getpid()}")
    yield name
    attempt("docker", "rmi", "--force", name)
