#!/usr/bin/env bash
# The README's test command, with everything required that tests may lack.
set -euo pipefail
cd "$(dirname "$0")/.."
DROPBED_REQUIRE=docker,fuse cargo test --locked
