#!/bin/bash
# The compose files of deploy/ on a real Docker engine, with an image of the programs that were built. Arguments go to pytest.
# Compose v2 is built from a pinned Go module where it is missing. Where no engine answers and dockerd is installed, root starts an engine with a
# data root and a socket of its own, and ends it again. Where no base image is there, debootstrap makes one. Without an engine only the tests run
# that read files. TOWLINE_REQUIRE_DOCKER=1 makes a missing engine a failure.
set -u
here=$(cd "$(dirname "$0")" && pwd)
own=$(cd "$here/../.." && pwd)/build/compose
no_engine() {
  echo "compose: $1: what needs a Docker engine is skipped"
  shift
  [ "${TOWLINE_REQUIRE_DOCKER:-0}" = 0 ] || exit 1
  docker compose version >/dev/null 2>&1 || exit 0
  "$here/../integration/run.sh" "$here" -k config "$@"
  exit
}
start_engine() {
  mkdir -p "$own"
  # The path of a socket may have at most 107 characters.
  run=$(mktemp -d /tmp/towline-docker.XXXXXX)
  export DOCKER_HOST=unix://$run/docker.sock
  dockerd --data-root "$own/docker" --exec-root "$run/exec" --pidfile "$run/pid" --host "$DOCKER_HOST" >"$own/dockerd.log" 2>&1 &
  engine=$!
  trap 'kill "$engine" 2>/dev/null; wait "$engine"; rm -rf "$run"' EXIT
  trap 'exit 130' INT TERM
  for _ in $(seq 300); do
    docker version >/dev/null 2>&1 && return
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 3 "$own/dockerd.log"
  return 1
}
command -v docker >/dev/null || no_engine "Docker's client is not installed here" "$@"
if ! docker compose version >/dev/null 2>&1; then
  export DOCKER_CONFIG=$own/config
  python3 "$here/plugin.py" "$DOCKER_CONFIG" || no_engine "Docker Compose v2 is not installed, and cannot be built" "$@"
fi
if ! docker version >/dev/null 2>&1; then
  [ "$(id -u)" -eq 0 ] && command -v dockerd >/dev/null || no_engine "no Docker engine answers, and only root with dockerd installed can start one" "$@"
  start_engine || no_engine "dockerd does not start ($own/dockerd.log)" "$@"
fi
export BASE_IMAGE=${BASE_IMAGE:-debian:bookworm-slim}
if ! docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 && command -v debootstrap >/dev/null && [ "$(id -u)" -eq 0 ]; then
  echo "compose: making $BASE_IMAGE by debootstrap"
  root=$(mktemp -d)
  if debootstrap --variant=minbase bookworm "$root" >"$root.log" 2>&1; then
    tar -C "$root" -c . | docker import - "$BASE_IMAGE" >/dev/null
  else
    tail -n 3 "$root.log"
  fi
  rm -rf "$root" "$root.log"
fi
"$here/../integration/run.sh" "$here" "$@"
