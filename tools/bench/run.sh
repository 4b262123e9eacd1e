#!/bin/sh
# make bench: the micro benchmarks, then Towline beside a real client (run.py). Arguments go to run.py.
set -eu
. "$(dirname "$0")/../../tests/interop/prepare.sh"
"$root/build/release/tests/bench/micro_bench" --benchmark_min_time=0.3
exec "$python" "$root/tools/bench/run.py" "$@"
