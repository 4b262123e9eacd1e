#!/usr/bin/env python3
"""Builds Docker Compose v2, which Debian 12 does not have, from the Go module pinned in go/.

    plugin.py CONFIG      CONFIG/cli-plugins/docker-compose; docker finds it with DOCKER_CONFIG=CONFIG

Go's own cache makes it quick if nothing has changed.
"""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
import peers  # noqa: E402

plugin = Path(sys.argv[1]) / "cli-plugins/docker-compose"
plugin.parent.mkdir(parents=True, exist_ok=True)
go = peers.find_go(HERE.parents[1] / "build")
peers.go_build(go, "github.com/docker/compose/v2/cmd", plugin, HERE / "go", "-ldflags=-s -w")
