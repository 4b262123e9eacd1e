#!/bin/sh
# Takes the symbols out of all programs of a folder: split-symbols.sh PROGRAMS SYMBOLS. gdb finds those of a program by its build id, where SYMBOLS is its
# debug-file-directory.
set -eu
for program in "$1"/*; do
  id=$(readelf -n "$program" | sed -n 's/.*Build ID: //p')
  rest=${id#??}
  folder=$2/.build-id/${id%"$rest"}
  mkdir -p "$folder"
  objcopy --only-keep-debug "$program" "$folder/$rest.debug"
  strip --strip-all "$program"
done
