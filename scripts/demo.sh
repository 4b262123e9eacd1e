#!/bin/bash
# Builds what the demo needs and runs it (about 75 seconds). Needs no Go, Node or Docker.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
log=build/demo-build.log
echo "building (the first time takes minutes; $log tells more)"
if ! { cmake --preset release && cmake --build build/release -j "${JOBS:-$(nproc)}" --target remote-fetcher engine-driver sync-coordinator towline towline-devnet; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 1
fi
exec build/release/bin/towline demo
