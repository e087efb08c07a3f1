#!/bin/sh
# Sets up, builds and starts Tiller: the window on the bundled model.
#
#   sh packaging/run.sh [ARGUMENTS OF tiller …]
#
# The first build takes ten to twenty minutes on two cores. Where there is no display, Tiller says so
# and points to `tiller say`.
set -eu
cd "$(dirname "$0")/.."
sh packaging/setup.sh
exec cargo run --release --locked --quiet -- "$@"
