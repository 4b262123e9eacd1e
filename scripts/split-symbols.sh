#!/bin/sh
# Takes the symbols out of all programs of a folder: split-symbols.sh PROGRAMS SYMBOLS. Each program names the file that has its own, and gdb looks
# for it by that name and its checksum.
set -eu
mkdir -p "$2"
for program in "$1"/*; do
  name=$(basename "$program").debug
  objcopy --only-keep-debug "$program" "$2/$name"
  strip --strip-all "$program"
  objcopy --add-gnu-debuglink="$2/$name" "$program"
done
