#!/bin/sh
# deploy/compose.yaml on a real Docker engine, with an image of the programs that were built. Arguments go to pytest.
# Where no engine answers nothing runs, and it is said; TOWLINE_REQUIRE_DOCKER=1 makes that a failure.
here=$(cd "$(dirname "$0")" && pwd)
if ! docker version >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1; then
  echo "compose: skipped, no Docker engine with Compose v2 answers here (0 passed)"
  [ "${TOWLINE_REQUIRE_DOCKER:-0}" = 0 ]
  exit
fi
exec "$here/../integration/run.sh" "$here" "$@"
