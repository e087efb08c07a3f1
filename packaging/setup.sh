#!/bin/sh
# Installs what Tiller needs beyond Rust on Debian 12 and its relatives.
#
#   sh packaging/setup.sh          what building and running need
#   sh packaging/setup.sh tests    also what the test suite needs: a software Vulkan driver, a
#                                  virtual display, a keyboard to press, packaging checkers
#
# Does nothing where everything is there already, so it also works without a network.
set -eu

build="gcc libc6-dev"
window="libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon0 libxkbcommon-x11-0 libwayland-client0 libegl1 libvulkan1"
tests="mesa-vulkan-drivers xvfb xauth xdotool x11-utils desktop-file-utils appstream dpkg procps"

wanted="$build $window"
[ "${1:-}" = tests ] && wanted="$wanted $tests"

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing; install Rust 1.95 or newer with rustup, then run this again" >&2
    exit 1
fi
if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "this is no Debian system; install by hand what corresponds to: $wanted" >&2
    exit 0
fi

missing=""
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "these packages are missing, and installing them needs root:$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words on purpose
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
