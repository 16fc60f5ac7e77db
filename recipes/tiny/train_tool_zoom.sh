#!/usr/bin/env bash
# Watch a small policy learn where to look and when it has seen enough: GRPO with n-turn zoom in stock verl on a CPU, then what
# it does with questions it has not seen. About 10 minutes on 2 cores, 8 GB of memory.
#   bash recipes/tiny/train_tool_zoom.sh [verl settings]    STEPS=24 QUESTIONS=1024, results in OUT=runs/tiny_tool_zoom
# Killed, it goes on where it stopped; FRESH=1 begins anew. What else can be set stands in recipes/tiny/grpo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/tiny_tool_zoom}")
python=${VENV:-.venv}/bin/python
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
export POLICY=${POLICY:-recipes/tiny/tool_zoom_policy} STEPS=${STEPS:-24}
[ -f "$POLICY/model.safetensors" ] || { echo "There is no policy in $POLICY: make one with recipes/tiny/make_tool_zoom_policy.sh" >&2; exit 1; }

[ -z "${FRESH:-}" ] || rm -rf "$out"
[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
[ -e "$out/before.json" ] || "$python" -m ergo_plugins.panels.zooming.measure "$POLICY" --questions "${QUESTIONS:-1024}" \
    -o "$out/before.json"
[ -e "$out/data/validation.parquet" ] || {
    "$python" -m ergo_plugins.panels.zooming.make_data --count "${SAMPLES:-480}" --out "$out/questions"
    "$python" -m ergo_plugins.cli data jsonl "$out/questions/questions.jsonl" --images "$out/questions/images" \
        --out "$out/data" --keep-order --validation "$((${SAMPLES:-480} / 10))"
}
OUT=$out RECIPE=train_tool_zoom PROMPTS=ergo.episode.prompts=$PWD/recipes/tiny/tool_zoom_prompts.yaml \
    bash recipes/tiny/grpo.sh trainer.test_freq=-1 trainer.val_before_train=false trainer.save_freq=8 "$@"
[ -e "$out/after.json" ] || "$python" -m ergo_plugins.panels.zooming.measure "$out/merged" --questions "${QUESTIONS:-1024}" \
    -o "$out/after.json"
echo "Before and after are in $out/before.json and $out/after.json, curves in $out/tensorboard, rollouts of the last step in $out/rollouts.html"
