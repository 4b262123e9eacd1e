#!/bin/sh
# Installs the missing Debian 12 packages of the build and the tests, and the packages given as arguments. Quick if none is missing; starts no daemon.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
missing=$(dpkg-query -W -f '${Package} ${Status}\n' 2>/dev/null |
  awk -v list="$here/apt-packages.txt" -v more="$*" '
    /ok installed$/ { have[$1] = 1 }
    END {
      while ((getline p < list) > 0) if (!(p in have)) print p
      n = split(more, named, " ")
      for (i = 1; i <= n; i++) if (!(named[i] in have)) print named[i]
    }')
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "these packages are missing, install them as root (or run 'make deps' as root):" $missing >&2
  exit 1
fi
echo "installing:" $missing
# policy-rc.d forbids packages to start daemons (101) while we install, and is removed afterwards. dash runs no EXIT trap when a signal ends
# it, so the signals have traps of their own.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
