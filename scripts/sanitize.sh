#!/bin/sh
# The tests of the pure layer (every core/ and every decoder of foreign bytes) under the address and undefined-behaviour sanitizers, in build/asan, and
# some schedules of the simulation. Actors and edges are left out: with CAF's and gRPC's headers the build would take twice the time.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
scripts/configure.sh asan
cmake --build build/asan -j "$(nproc)" --target pure_tests >build/asan-build.txt 2>&1 || {
  grep -vE '^\[[0-9]+/[0-9]+\] [A-Z]' build/asan-build.txt
  exit 1
}
build/asan/tests/simulation/simulation_test --schedules="${SCHEDULES:-100}"
exec ctest --test-dir build/asan -L pure -E '^simulation_test$' --output-on-failure -j "$(nproc)"
