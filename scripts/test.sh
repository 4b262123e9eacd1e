#!/bin/bash
# All tests, one suite after the other, and one line at the end that sums them up: "N passed, N failed".
#   test.sh quick    unit, actor and edge tests only: no network, no peers
#   test.sh all      those, then the suites of real processes and real nodes
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
passed=0
failed=0
log=build/test-output.txt
mkdir -p build

# suite NAME COMMAND...: runs it, shows it, and counts what its closing lines say (ctest's or pytest's).
suite() {
  local name=$1 start=$SECONDS code p f
  shift
  echo "== $name"
  "$@" 2>&1 | tee "$log"
  code=${PIPESTATUS[0]}
  p=$(grep -oE '[0-9]+ passed' "$log" | tail -n 1 | cut -d' ' -f1)
  f=$(grep -oE '[0-9]+ (failed|errors?)' "$log" | tail -n 2 | awk '{ n += $1 } END { print n + 0 }')
  if ctest_line=$(grep -oE '[0-9]+ tests failed out of [0-9]+' "$log"); then
    f=$(echo "$ctest_line" | cut -d' ' -f1)
    p=$(($(echo "$ctest_line" | awk '{ print $6 }') - f))
  fi
  # A suite that ends badly without a count of its own is one failure; one that ends well is one pass.
  if [ "$code" -ne 0 ] && [ "${f:-0}" -eq 0 ]; then f=1; fi
  if [ "$code" -eq 0 ] && [ -z "$p" ]; then p=1; fi
  passed=$((passed + ${p:-0}))
  failed=$((failed + ${f:-0}))
  echo "== $name: $([ "$code" -eq 0 ] && echo ok || echo FAILED) after $((SECONDS - start)) s"
}

suite unit ctest --test-dir build/release --output-on-failure -j 2
if [ "${1:-all}" = all ]; then
  suite lint scripts/lint.sh
  if [ -x tests/integration/run.sh ]; then suite integration tests/integration/run.sh -q; fi
  suite dialects tests/dialects/run.sh -q
  suite compose tests/compose/run.sh -q
  suite package tests/package/run.sh
  suite interop tests/interop/run.sh -q
fi
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
