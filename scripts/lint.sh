#!/bin/sh
# What can be checked of the sources without running them: contracts, layers, format, and whether documents and code agree.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
mkdir -p build
bad=0
# Pure folders, which are those of the libraries that CMake calls so, include nothing that does I/O (the build checks what they link).
pure=$(git ls-files 'libs/*CMakeLists.txt' 'services/*CMakeLists.txt' | xargs grep -lE 'towline_library\(NAME [a-z0-9_]+ LAYER pure' | xargs -n 1 dirname)
# shellcheck disable=SC2086
if grep -rnE '#include <(caf|grpcpp|curl|httplib|prometheus|spdlog)|\.pb\.h' $pure --include='*.hpp' --include='*.cpp'; then
  echo "a pure folder includes one of the above" >&2
  bad=1
fi
# The state of an actor is nobody else's, and what blocks is detached: no lock and nothing that waits in actors/.
waits='std::(recursive_|shared_)?mutex|condition_variable|std::j?thread|std::(async|future|promise)|sleep_for|SleepFor'
if git ls-files 'services/*/actors/*.?pp' | grep -v '_test\.cpp$' | xargs grep -nE "$waits"; then
  echo "an actor holds a lock, or waits" >&2
  bad=1
fi
git ls-files '*.cpp' '*.hpp' | xargs clang-format-14 --dry-run -Werror 2>&1 | head -20 >build/format.txt
if [ -s build/format.txt ]; then
  cat build/format.txt >&2
  echo "run make format" >&2
  bad=1
fi
"${PYTHON:-/usr/bin/python3}" scripts/buf.py lint proto || bad=1
# The image is made without tests.
cmake --preset release -D BUILD_TESTING=OFF -B build/without-tests >build/without-tests.txt 2>&1 || {
  cat build/without-tests.txt >&2
  bad=1
}
exit $bad
