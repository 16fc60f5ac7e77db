#!/usr/bin/env bash
# Teach the tiny policy that can ask for the full image, able first and then by coin, and write
# recipes/tiny/visionthink_policy. About 25 minutes if a CPU core is free; 2 GB of memory. CALLS: share of dialogues that ask.
#   bash recipes/tiny/make_visionthink_policy.sh [SEED] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${VENV:-.venv}/bin/python seed=${1:-0} out=${2:-recipes/tiny/visionthink_policy}
able=runs/visionthink_able_$seed
[ -e "$able/training.json" ] || "$python" -m ergo_plugins.panels.asking.teach --seed "$seed" --out "$able"
exec "$python" -m ergo_plugins.panels.asking.teach --seed "$seed" --loosen "$able" --calls "${CALLS:-0.5}" --steps 150 \
    --learning-rate 3e-4 --out "$out"
