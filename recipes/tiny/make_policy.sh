#!/usr/bin/env bash
# Teach the tiny policy and write recipes/tiny/policy: able first, then loose, so that there is something to learn.
# About 12 minutes if two CPU cores are free; 2 GB of memory.
#   bash recipes/tiny/make_policy.sh [SEED] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${VENV:-.venv}/bin/python seed=${1:-0} out=${2:-recipes/tiny/policy}
able=runs/able_$seed
[ -e "$able/training.json" ] || "$python" -m ergo_plugins.panels.teach --seed "$seed" --out "$able"
exec "$python" -m ergo_plugins.panels.teach --seed "$seed" --loosen "$able" --steps 250 --learning-rate 3e-4 --out "$out"
