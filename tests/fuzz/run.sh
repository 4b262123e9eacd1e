#!/bin/sh
# run.sh SECONDS: runs each fuzz target of build/fuzz for this time from its corpus; findings stay in build/fuzz/found.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
found="$root/build/fuzz/found"
mkdir -p "$found"
for target in "$root"/build/fuzz/tests/fuzz/fuzz_*; do
  [ -f "$target" ] && [ -x "$target" ] || continue
  name=$(basename "$target")
  echo "== $name"
  mkdir -p "$found/$name"
  "$target" "$found/$name" "$root/tests/fuzz/corpus/$name" -max_total_time="$1" -print_final_stats=1 -artifact_prefix="$found/$name-" 2>&1 |
    grep -E "stat::number_of_executed_units|cov:.*DONE|ERROR|SUMMARY|artifact|Done" || { echo "$name failed"; exit 1; }
  if ls "$found/$name"-* >/dev/null 2>&1; then echo "$name found something: $found"; exit 1; fi
done
