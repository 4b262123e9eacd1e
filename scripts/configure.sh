#!/bin/sh
# configure.sh PRESET: configures build/PRESET. What CMake prints is shown only if it fails.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
log=build/configure-$1.txt
cmake --preset "$1" >"$log" 2>&1 || {
  cat "$log"
  exit 1
}
