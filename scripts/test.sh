#!/bin/bash
# Runs all tests; the last line is the sum: "N passed, N failed".
#   test.sh quick    unit, actor and edge tests only: no network, no peers
#   test.sh all      those, then the suites of real processes and real nodes, and the checks of the sources
#
# Most suites wait for blocks, which come by the clock, so lanes of suites run side by side. In a lane one suite follows the other. The output of a suite is
# shown in one piece when it ends; until then it is in build/test-output/NAME.txt.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
out=build/test-output
rm -rf "$out" "$out.txt"
mkdir -p "$out"

# count FILE CODE: prints "passed failed" from the closing lines of ctest or pytest in FILE.
count() {
  local p f ctest_line
  p=$(grep -oE '[0-9]+ passed' "$1" | tail -n 1 | cut -d' ' -f1)
  f=$(grep -oE '[0-9]+ (failed|errors?)' "$1" | tail -n 2 | awk '{ n += $1 } END { print n + 0 }')
  if ctest_line=$(grep -oE '[0-9]+ tests failed out of [0-9]+' "$1" | tail -n 1) && [ -n "$ctest_line" ]; then
    f=$(echo "$ctest_line" | cut -d' ' -f1)
    p=$(($(echo "$ctest_line" | awk '{ print $6 }') - f))
  fi
  # A suite that ends badly without a count of its own is one failure; one that ends well is one pass.
  if [ "$2" -ne 0 ] && [ "${f:-0}" -eq 0 ]; then f=1; fi
  if [ "$2" -eq 0 ] && [ -z "$p" ]; then p=1; fi
  echo "${p:-0} ${f:-0}"
}

# say COMMAND...: prints the output of COMMAND in one piece.
say() {
  flock "$out/lock" "$@"
}

# suite NAME COMMAND...: runs COMMAND, and shows its output when it has ended.
suite() {
  local name=$1 code TIMEFORMAT='%0R s (%0U + %0S s of CPU)'
  shift
  echo "0 1" >"$out/$name.count" # until it has ended: a suite that is cut off has failed
  say echo "== $name: started"
  { time "$@" >"$out/$name.txt" 2>&1 </dev/null; } 2>"$out/$name.time"
  code=$?
  count "$out/$name.txt" "$code" >"$out/$name.count"
  { echo "== $name"; echo "== $name: $([ "$code" -eq 0 ] && echo ok || echo FAILED) after $(cat "$out/$name.time")"; } >"$out/$name.ends"
  say sed -e 1r/dev/fd/3 "$out/$name.ends" 3<"$out/$name.txt"
  return "$code"
}

# Each lane is a process group of its own, so that an interrupt reaches its processes, and pytest ends its own.
set -m
lanes=()
lane() {
  "$@" &
  lanes+=($!)
}
interrupted() {
  trap - INT TERM
  for pid in "${lanes[@]}"; do kill -INT -- "-$pid" 2>/dev/null; done
  wait
  exit 130
}
trap interrupted INT TERM

# Real nodes, in two lanes with a chain each. op-geth and the other peers are built first, beside the other lanes.
peers() {
  suite peers tests/interop/run.sh prepare
}
of_lane_2="test_4_reorgs.py test_8_lying_sources.py test_6_hardforks.py test_7_gossip.py test_10_start.py"
real_nodes_1() {
  # shellcheck disable=SC2086,SC2046
  suite interop tests/interop/run.sh -q --durations=10 $(printf -- '--ignore=%s ' $of_lane_2)
}
real_nodes_2() {
  # shellcheck disable=SC2086
  suite interop-2 env INTEROP_DIR="$root/build/interop-run-2" tests/interop/run.sh -q --durations=10 $of_lane_2
}
unit() {
  suite unit ctest --test-dir build/release --output-on-failure -j 2
}
processes() {
  unit
  suite integration tests/integration/run.sh -q -n 4 --dist worksteal
  suite dialects tests/dialects/run.sh -q
  suite compose tests/compose/run.sh -q
}
# Checks that only compute take the CPU time that the other lanes leave.
sources() {
  suite lint scripts/lint.sh
  suite sanitized nice -n 19 scripts/sanitize.sh
  suite headers nice -n 19 scripts/headers.py
  suite tidy nice -n 19 scripts/tidy.sh
}

if [ "${1:-all}" = all ]; then
  lane processes
  lane sources
  lane peers
  if wait "${lanes[-1]}"; then
    lane real_nodes_1
    lane real_nodes_2
  fi
else
  lane unit
fi
wait
echo
cat "$out"/*.count | awk '{ p += $1; f += $2 } END { print p + 0 " passed, " f + 0 " failed"; exit f > 0 }'
