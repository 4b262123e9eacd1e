#!/bin/sh
# The Debian packages that the given programs need at run time: the owners of their shared libraries. One name per line.
set -eu
ldd "$@" | awk '$3 ~ /^\// { print $3 }' | sort -u | xargs -n 1 readlink -f |
  # dpkg knows a library by /lib or by /usr/lib, and one of them may be a link to the other.
  sed 's,^/usr/lib/,*/,; s,^/lib/,*/,' | xargs dpkg -S | cut -d: -f1 | sort -u
