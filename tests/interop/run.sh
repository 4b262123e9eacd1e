#!/bin/sh
# Tests with real nodes: builds the peers, prepares a virtual environment, runs pytest with the arguments; `prepare` runs no tests.
set -eu
. "$(dirname "$0")/prepare.sh"
[ "${1:-}" = prepare ] && exit 0
cd "$root/tests/interop"
exec "$python" -m pytest -p no:cacheprovider "$@"
