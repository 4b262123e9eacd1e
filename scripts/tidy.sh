#!/bin/sh
# Runs clang-tidy with the checks of .clang-tidy on the sources that changed since the newest tag; without a tag, on all of core/. Arguments name other sources.
# Included headers are checked, too. The flags are those of build/asan, which is a build by clang and without precompiled headers.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
if [ $# -gt 0 ]; then
  files=$*
elif tag=$(git describe --tags --abbrev=0 2>/dev/null); then
  echo "sources that changed since $tag"
  files=$(git diff --name-only --diff-filter=d "$tag" -- 'libs/*.cpp' 'services/*.cpp' 'tools/*.cpp' | grep -v '_test\.cpp$' || true)
else
  echo "no tag: all of core/"
  files=$(git ls-files 'services/*/core/*.cpp' | grep -v '_test\.cpp$')
fi
[ -n "$files" ] || exit 0
scripts/configure.sh asan
# shellcheck disable=SC2086
if ! printf '%s\n' $files | xargs -P "$(nproc)" -n 2 clang-tidy-14 -p build/asan --quiet --extra-arg=-Wno-unknown-warning-option >build/tidy.txt 2>&1; then
  grep -vE '^[0-9]+ warnings? .*generated\.$|^Suppressed ' build/tidy.txt
  exit 1
fi
