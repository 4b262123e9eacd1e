#!/bin/sh
# Checks the sources without running them: layers, locks in actors, length of files, format, protos, and whether the project configures without tests.
# docs_test compares documents with code.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
mkdir -p build
bad=0
# The folders of pure libraries (by CMake) include nothing that does I/O. The build checks their dependencies.
pure=$(git ls-files 'libs/*CMakeLists.txt' 'services/*CMakeLists.txt' | xargs grep -lE 'towline_library\(NAME [a-z0-9_]+ LAYER pure' | xargs -n 1 dirname)
# shellcheck disable=SC2086
if grep -rnE '#include <(caf|grpcpp|curl|httplib|prometheus|spdlog)|\.pb\.h' $pure --include='*.hpp' --include='*.cpp'; then
  echo "a pure folder includes one of the above" >&2
  bad=1
fi
# An actor shares no state and does not block (detached actors block in calls of other folders): no lock and no wait in actors/.
waits='std::(recursive_|shared_)?mutex|condition_variable|std::j?thread|std::(async|future|promise)|sleep_for|SleepFor'
if git ls-files 'services/*/actors/*.?pp' | grep -v '_test\.cpp$' | xargs grep -nE "$waits"; then
  echo "an actor holds a lock, or waits" >&2
  bad=1
fi
# A longer file does more than one thing.
too_long() {
  grep -v '_test\.cpp$' | xargs wc -l | awk -v most="$1" '$2 != "total" && $1 > most { print $2 ": " $1 " lines, at most " most; n = 1 } END { exit !n }'
}
if git ls-files 'services/*.?pp' 'libs/*.?pp' 'tools/*.?pp' | too_long 450 || git ls-files 'services/sync-coordinator/core/*.?pp' | too_long 300; then
  bad=1
fi
git ls-files '*.cpp' '*.hpp' | xargs clang-format-14 --dry-run -Werror 2>&1 | head -20 >build/format.txt
if [ -s build/format.txt ]; then
  cat build/format.txt >&2
  echo "run make format" >&2
  bad=1
fi
"${PYTHON:-/usr/bin/python3}" scripts/buf.py lint proto || bad=1
# The image is built without tests.
cmake --preset release -D BUILD_TESTING=OFF -B build/without-tests >build/without-tests.txt 2>&1 || {
  cat build/without-tests.txt >&2
  bad=1
}
exit $bad
