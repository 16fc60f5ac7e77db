#!/usr/bin/env bash
# The table and drawing of recipes/pareto.sh in the tiny world: a policy that was taught to look, on a CPU, in minutes.
#   bash recipes/tiny/pareto.sh [POLICY]      by default the shipped one; SAMPLES=40, results in OUT=runs/tiny_pareto
# The policy knows the words of one paper: as n-turn zoom it answers from its first view.
set -euo pipefail
cd "$(dirname "$0")/../.."
export OUT=${OUT:-runs/tiny_pareto} HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
export PYTHON=${PYTHON:-python} TASKS=ergo_panels ENGINE=hf BATCH=8
[ -e "$OUT/panels/test.parquet" ] ||
    "$PYTHON" -m ergo_plugins.panels.make_data --samples "${SAMPLES:-40}" --split test --out "$OUT/panels"
words=resample=box,answer_new_tokens=24
printf 'direct: "{question}"\n' > "$OUT/single.yaml"
printf 'system: ""\nask: "{question}"\n' > "$OUT/zoom.yaml"
export INCLUDE=$OUT/panels ARGS=$words SINGLE=${SINGLE-16 64 256} ERGO=${ERGO-16} ZOOM=${ZOOM-16}
export SINGLE_ARGS="prompts=$OUT/single.yaml" ERGO_ARGS="zoom_new_tokens=24,prompts=recipes/tiny/prompts.yaml"
export ZOOM_ARGS="all_tokens=256,prompts=$OUT/zoom.yaml"
exec bash recipes/pareto.sh "${1:-recipes/tiny/policy}"
