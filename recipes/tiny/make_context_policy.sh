#!/usr/bin/env bash
# Teach the tiny policy of the context world, which names landmarks, boxes what it says and reads, but was never shown where
# hidden patterns are, and write recipes/tiny/context_policy. About 5 minutes if a CPU core is free; 2 GB of memory.
#   bash recipes/tiny/make_context_policy.sh [SEED] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${VENV:-.venv}/bin/python
exec "$python" -m ergo_plugins.panels.context.teach --elder recipes/tiny/policy --seed "${1:-0}" --out "${2:-recipes/tiny/context_policy}"
