#!/bin/bash
# The Debian packages of the built programs in a clean Debian (debootstrap, chroot): installed, upgraded, removed, purged. The units pass systemd-analyze; the
# archive of a release matches its checksums and its SBOM. Needs root, debootstrap and Debian's mirror, and is skipped without them, unless
# TOWLINE_REQUIRE_PACKAGE=1 makes that a failure. BASE_ROOT names an existing minbase root, PACKAGES a folder with existing packages.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
  echo "package: skipped, it takes root and debootstrap (0 passed)"
  [ "${TOWLINE_REQUIRE_PACKAGE:-0}" = 0 ]
  exit
fi
dir=$(mktemp -d)
clean=$dir/root
finish() {
  umount "$clean/proc" "$clean/dev" 2>/dev/null
  # Nothing of the host may be mounted below it any more.
  if ! grep -q " $clean/" /proc/mounts; then rm -rf "$dir"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM
passed=0
failed=0
check() {
  local what=$1 out
  shift
  if out=$("$@" 2>&1); then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $what: $*"
    echo "$out" | tail -n 15
  fi
}
in_root() { LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$clean" "$@"; }
not() { ! "$@"; }

packages=${PACKAGES:-}
if [ -z "$packages" ]; then
  check "make release" "$root/scripts/release.sh"
  packages=$root/build/dist
  cd "$packages" || exit 1
  check "checksums" sha256sum --check --quiet SHA256SUMS
  # Each program of the archive finds its symbols by its build id.
  mkdir "$dir/archive"
  for tar in towline-*.tar.gz; do tar -C "$dir/archive" -xf "$tar"; done
  for program in "$dir"/archive/towline-*/bin/*; do
    id=$(readelf -n "$program" | sed -n 's/.*Build ID: //p')
    check "symbols of $program" test -e "$(echo "$dir"/archive/*-symbols/.build-id)/${id:0:2}/${id:2}.debug"
  done
  # The SBOM has all libraries that the programs load, and nothing else.
  check "SBOM" python3 - "$root" <<'PY'
import json, pathlib, subprocess, sys
sbom = json.load(next(pathlib.Path(".").glob("*.cdx.json")).open())
bins = sorted((pathlib.Path(sys.argv[1]) / "build/release/bin").glob("*"))
bins = [b for b in bins if not b.name.startswith("towline-bench")]
linked = subprocess.run([pathlib.Path(sys.argv[1]) / "scripts/runtime-packages.sh", *bins], capture_output=True, text=True, check=True).stdout.split()
assert sorted(c["name"] for c in sbom["components"]) == sorted(linked), sbom
assert all(c["version"] and c["purl"] for c in sbom["components"])
PY
fi
deb=$(ls "$packages"/towline_*.deb)
devnet=$(ls "$packages"/towline-devnet_*.deb)

if [ -n "${BASE_ROOT:-}" ]; then cp -a "$BASE_ROOT" "$clean"; else check "debootstrap" debootstrap --variant=minbase bookworm "$clean"; fi
mount -t proc proc "$clean/proc" && mount --bind /dev "$clean/dev" || exit 1
cp /etc/resolv.conf "$clean/etc/" 2>/dev/null
cp "$deb" "$devnet" "$clean/tmp/"
in_root apt-get update -qq >/dev/null 2>&1
in_root apt-get install -y -qq --no-install-recommends systemd >/dev/null 2>&1
# The upgrade: the same package under a higher version, with a conffile that the maintainers have changed.
dpkg-deb -R "$deb" "$dir/next"
sed -i 's/^Version: .*/&+next/' "$dir/next/DEBIAN/control"
echo "# a line of the next version" >>"$dir/next/etc/towline/p2p-gossip.env"
dpkg-deb -b "$dir/next" "$clean/tmp/next.deb" >/dev/null

check "install" in_root apt-get install -y -qq --no-install-recommends "/tmp/$(basename "$deb")" "/tmp/$(basename "$devnet")"
for program in remote-fetcher p2p-gossip engine-driver sync-coordinator towline towline-devnet; do
  check "runs" in_root "$program" --version
done
check "user" in_root id towline
check "a secret of root's" in_root sh -c '[ "$(stat -c %a%U /etc/towline/auth-token)" = 600root ] && [ "$(wc -c </etc/towline/auth-token)" = 64 ]'
check "URLs with keys are root's" in_root sh -c '[ "$(stat -c %a /etc/towline/remote-fetcher.env)" = 600 ]'
check "pages" in_root test -e /usr/share/man/man1/engine-driver.1
check "completion" in_root bash -c '. /usr/share/bash-completion/completions/towline; COMP_WORDS=(towline stat); COMP_CWORD=1; _towline; [ "${COMPREPLY[0]}" = status ]'
units="towline.target"
for service in remote-fetcher p2p-gossip engine-driver sync-coordinator; do
  units="$units towline@$service.service towline-probe@$service.service towline-probe@$service.timer"
done
# systemd-analyze prints its complaints even where it returns no error.
verify() {
  local out
  out=$(in_root systemd-analyze verify --man=no $units 2>&1) && [ -z "$out" ] || { echo "$out"; return 1; }
}
check "units" verify
exposure() { in_root systemd-analyze security --offline=true --threshold=20 towline@engine-driver.service; }
check "hardened" exposure
# Starts a service as its unit does: with its user, files and credentials. No systemd runs in a chroot.
starts() {
  in_root sh -ec 'sed -i "s/^TOWLINE_NETWORK=.*/TOWLINE_NETWORK=op-mainnet/" /etc/towline/towline.env
    install -d -o towline -g towline /var/lib/towline/engine-driver /run/credentials.test
    install -o towline -m 400 /etc/towline/auth-token /run/credentials.test/auth-token
    printf "%064d" 1 >/etc/towline/jwt.hex; install -o towline -m 400 /etc/towline/jwt.hex /run/credentials.test/jwt.hex
    set -a; . /etc/towline/towline.env; . /etc/towline/engine-driver.env
    TOWLINE_AUTH_TOKEN_FILE=/run/credentials.test/auth-token TOWLINE_JWT_SECRET=/run/credentials.test/jwt.hex
    TOWLINE_GRPC_ADDR=127.0.0.1:0 TOWLINE_HTTP_ADDR=127.0.0.1:0; set +a
    setpriv --reuid towline --regid towline --clear-groups --no-new-privs engine-driver >/tmp/log 2>&1 & pid=$!
    for n in $(seq 100); do grep -q started /tmp/log && break; sleep 0.2; done
    kill $pid; wait $pid; cat /tmp/log; grep -q started /tmp/log'
}
check "starts" starts
check "upgrade" in_root apt-get install -y -qq -o Dpkg::Options::=--force-confdef "/tmp/next.deb"
check "the operator's file is kept" in_root grep -q '^TOWLINE_NETWORK=op-mainnet' /etc/towline/towline.env
check "an untouched file is renewed" in_root grep -q 'next version' /etc/towline/p2p-gossip.env
check "the token is kept" in_root test -s /etc/towline/auth-token
check "remove" in_root apt-get remove -y -qq towline towline-devnet
check "no program is left" not in_root test -e /usr/bin/engine-driver
check "files of the operator are left" in_root test -e /etc/towline/towline.env
check "purge" in_root apt-get purge -y -qq towline
check "nothing is left" in_root sh -c '! test -e /etc/towline && ! test -e /var/lib/towline && ! id towline 2>/dev/null'
check "not even a file" in_root sh -c '! find / -xdev -path /tmp -prune -o -path /proc -prune -o -path "/var/lib/apt" -prune -o -name "*towline*" -print | grep .'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
