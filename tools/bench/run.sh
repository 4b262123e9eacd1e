#!/bin/sh
# make bench: the micro benchmarks, Towline beside a real client (run.py), then gossip beside op-node (gossip.py). Arguments go to run.py.
set -eu
. "$(dirname "$0")/../../tests/interop/prepare.sh"
"$root/build/release/tests/bench/micro_bench" --benchmark_min_time=0.3
"$python" "$root/tools/bench/run.py" "$@"
exec "$python" "$root/tools/bench/gossip.py"
