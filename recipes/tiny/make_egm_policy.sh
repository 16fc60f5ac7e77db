#!/usr/bin/env bash
# Teach the tiny policies that find places, able first and then loose, and write recipes/tiny/egm_policy_qwen3 or _qwen2_5.
# About 5 and 15 minutes if a CPU core is free; 2 GB of memory. The first knows tiles by their colour alone.
#   bash recipes/tiny/make_egm_policy.sh qwen3|qwen2_5 [SEED] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${VENV:-.venv}/bin/python name=${1:?qwen3 or qwen2_5} seed=${2:-0}
out=${3:-recipes/tiny/egm_policy_$name} able=runs/egm_able_${name}_$seed
case $name in
    qwen3) family=qwen3_vl steps=450 loose=150 lessons=(--lessons colour) ;;
    qwen2_5) family=qwen2_5_vl steps=1200 loose=450 lessons=() ;;
    *) echo "qwen3 or qwen2_5, not $name" >&2; exit 1 ;;
esac
[ -e "$able/training.json" ] || "$python" -m ergo_plugins.panels.locate.teach --family "$family" --seed "$seed" \
    --steps "$steps" ${lessons[@]+"${lessons[@]}"} --out "$able"
exec "$python" -m ergo_plugins.panels.locate.teach --seed "$seed" --loosen "$able" --steps "$loose" --learning-rate 3e-4 \
    ${lessons[@]+"${lessons[@]}"} --out "$out"
