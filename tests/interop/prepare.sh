# Sourced by run.sh and the bench: builds the peers and prepares a virtual environment. Sets `root`, `python` and TEST_BIN.
root=$(cd "$(dirname "$0")/../.." && pwd)
python=/usr/bin/python3
[ -x "$python" ] || python=python3
"$python" "$root/tests/interop/peers.py" "$root"
venv="$root/build/interop-venv"
wanted=$(sha256sum "$root/tests/interop/requirements.txt")
if [ "$(cat "$venv/requirements.sha256" 2>/dev/null || true)" != "$wanted" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$root/tests/interop/requirements.txt"
  echo "$wanted" >"$venv/requirements.sha256"
fi
python="$venv/bin/python"
export TEST_BIN="${TEST_BIN:-$root/build/release/bin}"
