#!/usr/bin/env bash
# The README's commands as a stranger types them: the demo in both runtimes, and
# the Compose project. Whatever happens, nothing of them is left.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
compose() {
    # The plugin where there is one, else the older tool: one file serves both.
    if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}
trap 'compose down --volumes --timeout 5 >/dev/null 2>&1 || true; rm -rf "$out"' EXIT

cargo build --locked --release
echo "== the demo, in containers"
cargo run --locked --release -- run topologies/two-peer.yaml --out "$out"
echo "== the demo, without an engine"
DOCKER_HOST=tcp://127.0.0.1:1 cargo run --locked --release -- run topologies/two-peer.yaml --out "$out"
echo "== the demo, as a Compose project"
cargo run --locked --release -- image
compose up --abort-on-container-exit --exit-code-from testbed
compose down --volumes --timeout 5
left=$(docker ps -aq --filter label=dropbed.tool=dropbed | wc -l)
[ "$left" -eq 0 ] || { echo "containers left behind: $left" >&2; exit 1; }
