#!/bin/sh
# The proof on real nodes: builds the peers, prepares a virtual environment, runs the tests. Arguments go to pytest.
# A first argument of `chain`, `reorgs` or `gossip` is a third of them: the three may run side by side, each has chains of its own. `prepare` runs none.
set -eu
. "$(dirname "$0")/prepare.sh"
cd "$root/tests/interop"
case "${1:-}" in
  chain) files="test_1_follow.py test_2_sources.py test_3_kills.py test_5_sync_tester.py" ;;
  reorgs) files="test_4_reorgs.py test_6_hardforks.py test_8_lying_sources.py" ;;
  prepare) exit 0 ;;
  gossip) files="test_7_gossip.py test_9_recover.py" ;;
  *) files= ;;
esac
if [ -n "$files" ]; then
  export TOWLINE_INTEROP_DIR="$root/build/interop-run/$1"
  shift
fi
# shellcheck disable=SC2086
exec "$python" -m pytest -p no:cacheprovider $files "$@"
