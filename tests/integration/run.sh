#!/bin/sh
# Tests the services as real processes against towline-devnet: prepares a virtual environment, runs pytest with the arguments.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=/usr/bin/python3
[ -x "$python" ] || python=python3
venv="$root/build/integration-venv"
wanted=$(sha256sum "$here/requirements.txt")
if [ "$(cat "$venv/requirements.sha256" 2>/dev/null || true)" != "$wanted" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  echo "$wanted" >"$venv/requirements.sha256"
fi
export TEST_BIN="${TEST_BIN:-$root/build/release/bin}"
cd "$here"
exec "$venv/bin/python" -m pytest -p no:cacheprovider "$@"
