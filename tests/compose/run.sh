#!/bin/bash
# The compose files of deploy/ on a real Docker engine, with an image of the built programs. Arguments go to pytest.
# Where no engine answers, only the tests that need none run, and the output says so. With TOWLINE_REQUIRE_DOCKER=1 an engine is started then (as root, if
# dockerd is installed), with a data root and a socket of its own, and stopped at the end; where that is impossible the run fails. A missing base image is
# made by debootstrap.
set -u
here=$(cd "$(dirname "$0")" && pwd)
own=$here/../../build/compose
missing() {
  echo "compose: skipped, $1 (0 passed)"
  [ "${TOWLINE_REQUIRE_DOCKER:-0}" = 0 ]
  exit
}
docker compose version >/dev/null 2>&1 || missing "Docker's client with Compose v2 is not installed here"
if ! docker version >/dev/null 2>&1; then
  if [ "${TOWLINE_REQUIRE_DOCKER:-0}" = 0 ]; then
    echo "compose: no Docker engine answers (TOWLINE_REQUIRE_DOCKER=1 starts one): only the files are read"
    exec "$here/../integration/run.sh" "$here" -k config "$@"
  fi
  if [ "$(id -u)" -ne 0 ] || ! command -v dockerd >/dev/null; then
    missing "no Docker engine answers, and none can be started (dockerd, as root)"
  fi
  mkdir -p "$own"
  own=$(cd "$own" && pwd)
  # The path of a socket may have at most 107 characters.
  run=$(mktemp -d /tmp/towline-docker.XXXXXX)
  export DOCKER_HOST=unix://$run/docker.sock
  dockerd --data-root "$own/docker" --exec-root "$run/exec" --pidfile "$run/pid" --host "$DOCKER_HOST" >"$own/dockerd.log" 2>&1 &
  engine=$!
  trap 'kill "$engine" 2>/dev/null; wait "$engine"; rm -rf "$run"' EXIT
  trap 'exit 130' INT TERM
  for _ in $(seq 300); do
    docker version >/dev/null 2>&1 && break
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.2
  done
  if ! docker version >/dev/null 2>&1; then
    tail -n 3 "$own/dockerd.log"
    missing "dockerd does not start: $own/dockerd.log"
  fi
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
