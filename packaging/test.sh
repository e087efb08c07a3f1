#!/bin/sh
# Sets up and passes the tests.
#
#   sh packaging/test.sh [ARGUMENTS OF cargo test …]
set -eu
cd "$(dirname "$0")/.."
sh packaging/setup.sh tests
exec cargo test --locked "$@"
