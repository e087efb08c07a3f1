#!/bin/sh
# Installs a Debian package, starts what it installed on a virtual display, and removes it again.
#
#   sh packaging/try-deb.sh PACKAGE.deb
#
# Needs root, Xvfb and a software Vulkan driver (packaging/setup.sh tests brings both). Nothing is
# read from the source tree: the binary must find the model that the package brought.
set -eu
package=$(realpath "${1:?the .deb to try}")
[ "$(id -u)" -eq 0 ] || { echo "installing a package needs root; run this with sudo" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'dpkg --purge tiller >/dev/null 2>&1 || true; rm -rf "$scratch"' EXIT
dpkg -i "$package" >"$scratch/dpkg.log" 2>&1 || { cat "$scratch/dpkg.log" >&2; exit 1; }
cd "$scratch"
export HOME="$scratch" XDG_RUNTIME_DIR="$scratch/runtime" TILLER_DATA_DIR="$scratch/data"
mkdir -m 700 "$XDG_RUNTIME_DIR"
unset CARGO_MANIFEST_DIR TILLER_STARTER WAYLAND_DISPLAY 2>/dev/null || true

command -v tiller
reply=$(/usr/bin/tiller say "Hello" --seed 1 --max-tokens 24)
[ -n "$reply" ] || { echo "the installed program said nothing" >&2; exit 1; }
echo "tiller say: $reply"
/usr/bin/tiller doctor | grep -F /usr/share/tiller/models/starter
TILLER_FIRST_FRAME=1 xvfb-run -a -s '-screen 0 1280x800x24' /usr/bin/tiller
dpkg --purge tiller >/dev/null 2>&1
[ ! -e /usr/bin/tiller ] || { echo "the package left its binary behind" >&2; exit 1; }
echo "the package installs, talks, opens its window and leaves"
