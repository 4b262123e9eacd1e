#!/bin/sh
# Makes a release in build/dist: the programs with manual pages and units, their symbols, the Debian packages, an SBOM, and the checksums of all these. The
# programs must be built (preset release).
set -eu
cd "$(dirname "$0")/.."
version=$(cat VERSION)
arch=$(dpkg --print-architecture)
build=build/release
dist=build/dist
name=towline-$version-linux-$arch
rm -rf "$dist" "$build/pages" "$build/packages"
mkdir -p "$dist/$name"
/usr/bin/python3 scripts/pages.py "$build/bin" "$build/pages" >/dev/null
(cd "$build" && cpack >/dev/null)
for part in programs devnet; do cmake --install "$build" --prefix "$dist/$name" --component $part >/dev/null; done
scripts/split-symbols.sh "$dist/$name/bin" "$dist/$name-symbols"
cp -r "$build/pages/man" "$build/pages/completions" deploy/systemd LICENSE README.md CHANGELOG.md "$dist/$name"
scripts/runtime-packages.sh "$dist/$name"/bin/* >"$dist/$name/debian-packages.txt"
# shellcheck disable=SC2046
/usr/bin/python3 scripts/sbom.py "$version" $(cat "$dist/$name/debian-packages.txt") >"$dist/$name.cdx.json"
# The archive depends on the sources alone, not on user or time.
for folder in "$name" "$name-symbols"; do
  tar -C "$dist" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct 2>/dev/null || echo 0)" -c "$folder" | gzip -n >"$dist/$folder.tar.gz"
  rm -rf "${dist:?}/$folder"
done
cp "$build"/packages/*.*deb "$dist"
(cd "$dist" && sha256sum -- * >SHA256SUMS)
ls -l "$dist"
