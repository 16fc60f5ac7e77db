#!/usr/bin/env bash
# Teach the tiny policy that can look at parts of an image, able first and then by coin, and write
# recipes/tiny/tool_zoom_policy. About 25 minutes if a CPU core is free; 2 GB of memory.
#   bash recipes/tiny/make_tool_zoom_policy.sh [SEED] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${VENV:-.venv}/bin/python seed=${1:-0} out=${2:-recipes/tiny/tool_zoom_policy}
able=runs/tool_zoom_able_$seed
[ -e "$able/training.json" ] || "$python" -m ergo_plugins.panels.zooming.teach --seed "$seed" --out "$able"
exec "$python" -m ergo_plugins.panels.zooming.teach --seed "$seed" --loosen "$able" --steps 200 --learning-rate 3e-4 --out "$out"
