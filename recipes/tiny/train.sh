#!/usr/bin/env bash
# GRPO of the tiny policy with stock verl on a CPU, then merge and evaluate: 8 GB of memory, about 15 minutes on 2 cores.
#   bash recipes/tiny/train.sh [verl settings]    STEPS=8 SAMPLES=160 RECIPE=train, results in OUT=runs/tiny
# Killed, it goes on from the last checkpoint when started again; FRESH=1 begins anew. EVALUATE=no leaves lmms-eval out.
# RECIPE=train_judged needs JUDGE_URL. What else can be set stands in recipes/tiny/grpo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/tiny}")
python=${VENV:-.venv}/bin/python
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
export POLICY=${POLICY:-recipes/tiny/policy}
[ -f "$POLICY/model.safetensors" ] || { echo "There is no policy in $POLICY: make one with recipes/tiny/make_policy.sh" >&2; exit 1; }

[ -z "${FRESH:-}" ] || rm -rf "$out"
[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl

# 896 px a side: the views are those of larger originals to the last bit, and decoding is not what is learned
[ -e "$out/data/validation.parquet" ] || {
    "$python" -m ergo_plugins.panels.make_data --samples "${SAMPLES:-160}" --split train --scale 4 --out "$out/panels"
    "$python" -m ergo_plugins.cli data panels "$out/panels/train.parquet" --out "$out/data" --need-box \
        --validation "$((${SAMPLES:-160} / 5))"
}
OUT=$out RECIPE=${RECIPE:-train} PROMPTS=ergo.zoom.prompts=$PWD/recipes/tiny/prompts.yaml bash recipes/tiny/grpo.sh "$@"

[ "${EVALUATE:-yes}" != no ] || exit 0
rm -f "$out/journal.jsonl" # of an earlier checkpoint; evaluating takes seconds
[ -e "$out/test/test.parquet" ] || "$python" -m ergo_plugins.panels.make_data --samples 40 --split test --out "$out/test"
"$python" -m lmms_eval --model ergo_hf --batch_size 8 --include_path "$out/test" --tasks ergo_panels --log_samples \
    --model_args "model=$out/merged,prompts=recipes/tiny/prompts.yaml,coarse_tokens=16,crop_tokens=16,zoom_new_tokens=24,answer_new_tokens=24,resample=box,journal=$out/journal.jsonl" \
    --output_path "$out/lmms_eval"
"$python" -m ergo_plugins.cli summary "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/evaluation.json"
"$python" -m ergo_plugins.cli report "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/report.html"
echo "Figures are in $out/summary.json and $out/evaluation.json, curves in $out/tensorboard, samples in $out/report.html, rollouts of the last step in $out/rollouts.html"
