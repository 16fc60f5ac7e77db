#!/usr/bin/env bash
# Watch a small policy learn to say where something is, from the overlap of its boxes alone: GRPO with EGM's reward in
# stock verl on a CPU, then figures on places it has not seen. Under 10 minutes on 2 cores, 8 GB of memory.
#   bash recipes/tiny/train_egm.sh [verl settings]    STEPS=32 PLACES=1024 KIND=colour, results in OUT=runs/tiny_egm
# KIND=dotted: expressions that have to be thought about; KIND=covered: boxes of all of a tile that another one hides in
# part. POLICY=recipes/tiny/egm_policy_qwen2_5 writes pixels of its view instead of thousandths. Killed, it goes on where
# it stopped; FRESH=1 begins anew. What else can be set stands in recipes/tiny/grpo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/tiny_egm}")
python=${VENV:-.venv}/bin/python
kind=${KIND:-colour}
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
export POLICY=${POLICY:-recipes/tiny/egm_policy_qwen3} STEPS=${STEPS:-32}
[ -f "$POLICY/model.safetensors" ] || { echo "There is no policy in $POLICY: make one with recipes/tiny/make_egm_policy.sh" >&2; exit 1; }

[ -z "${FRESH:-}" ] || rm -rf "$out"
[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
[ -e "$out/before.json" ] || "$python" -m ergo_plugins.panels.locate.measure "$POLICY" --places "${PLACES:-1024}" \
    --kinds "$kind" -o "$out/before.json"
[ -e "$out/data/validation.parquet" ] || {
    "$python" -m ergo_plugins.panels.locate.make_data --kind "$kind" --count "${SAMPLES:-480}" --out "$out/places"
    "$python" -m ergo_plugins.cli data egm "$out/places/$kind.jsonl" --images "$out/places/images" --out "$out/data" \
        --validation "$((${SAMPLES:-480} / 10))"
}
settings=(trainer.test_freq=-1 trainer.val_before_train=false trainer.save_freq=8)
[ "$kind" != covered ] || settings+=(+ergo.episode.extent=amodal)
OUT=$out RECIPE=train_egm PROMPTS=ergo.episode.prompts=$PWD/recipes/tiny/egm_prompts.yaml \
    bash recipes/tiny/grpo.sh "${settings[@]}" "$@"
[ -e "$out/after.json" ] || "$python" -m ergo_plugins.panels.locate.measure "$out/merged" --places "${PLACES:-1024}" \
    --kinds "$kind" -o "$out/after.json"
echo "Before and after are in $out/before.json and $out/after.json, curves in $out/tensorboard, rollouts of the last step in $out/rollouts.html"
