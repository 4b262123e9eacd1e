#!/bin/sh
# The proof on real nodes: builds the peers, prepares a virtual environment, runs the tests. Arguments go to pytest; `prepare` runs none.
set -eu
. "$(dirname "$0")/prepare.sh"
[ "${1:-}" = prepare ] && exit 0
cd "$root/tests/interop"
exec "$python" -m pytest -p no:cacheprovider "$@"
