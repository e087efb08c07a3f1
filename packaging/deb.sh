#!/bin/sh
# Makes a Debian package from a built binary.
#
#   sh packaging/deb.sh BINARY OUTPUT_FOLDER
#
# Prints the package's path. Needs dpkg-deb and nothing else.
set -eu
binary=${1:?the built binary, e.g. target/release/tiller}
out=${2:?the folder for the package}
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
arch=$(dpkg --print-architecture)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

install -Dm755 "$binary" "$tree/usr/bin/tiller"
strip --strip-debug "$tree/usr/bin/tiller" 2>/dev/null || true
install -Dm644 packaging/tiller.desktop "$tree/usr/share/applications/io.github.tiller.Tiller.desktop"
install -Dm644 packaging/tiller.metainfo.xml "$tree/usr/share/metainfo/io.github.tiller.Tiller.metainfo.xml"
install -Dm644 assets/icon/tiller.svg "$tree/usr/share/icons/hicolor/scalable/apps/io.github.tiller.Tiller.svg"
install -Dm644 assets/icon/tiller-256.png "$tree/usr/share/icons/hicolor/256x256/apps/io.github.tiller.Tiller.png"
install -Dm644 packaging/copyright "$tree/usr/share/doc/tiller/copyright"
for file in models/starter/* models/starter/guide/* models/starter/vectors/* models/starter/rewards/* \
    models/starter/guide/vectors/* models/starter/scorers/*; do
    case $file in *.sh) continue ;; esac
    if [ -f "$file" ]; then install -Dm644 "$file" "$tree/usr/share/tiller/$file"; fi
done

mkdir -p "$tree/DEBIAN"
size=$(du -sk "$tree/usr" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" packaging/debian/control >"$tree/DEBIAN/control"
chmod 755 "$tree" "$tree/DEBIAN"

mkdir -p "$out"
package="$out/tiller_${version}_$arch.deb"
dpkg-deb -Zgzip --root-owner-group --build "$tree" "$package" >/dev/null
echo "$package"
