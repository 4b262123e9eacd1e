#!/bin/sh
# Moves the symbols of all programs in a folder to another one: split-symbols.sh PROGRAMS SYMBOLS. With SYMBOLS as its debug-file-directory gdb finds the symbols of
# a program by its build id.
set -eu
for program in "$1"/*; do
  id=$(readelf -n "$program" | sed -n 's/.*Build ID: //p')
  rest=${id#??}
  folder=$2/.build-id/${id%"$rest"}
  mkdir -p "$folder"
  objcopy --only-keep-debug "$program" "$folder/$rest.debug"
  strip --strip-all "$program"
done
