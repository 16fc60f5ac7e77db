#!/usr/bin/env bash
# A policy is measured, trained on rows made for it, and measured again: what train_context.sh, train_egm.sh,
# train_visionthink.sh and train_tool_zoom.sh share. A script that sources this has said its name, the package of its world
# and the policy, STEPS, and, where they are not those of questions, by the function `rows` what it is trained on and in
# `measured` on what it is measured; `settings` are verl's.
set -euo pipefail
out=${OUT:-runs/tiny_$name}
[[ $out == /* ]] || out=$PWD/$out
python=${VENV:-.venv}/bin/python samples=${SAMPLES:-480}
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
[ -f "$POLICY/model.safetensors" ] || { echo "There is no policy in $POLICY: make one with recipes/tiny/make_${name}_policy.sh" >&2; exit 1; }

declare -F rows > /dev/null || rows() {
    "$python" -m "ergo_plugins.panels.$world.make_data" --count "$samples" --out "$out/questions"
    "$python" -m ergo_plugins.cli data jsonl "$out/questions/questions.jsonl" --images "$out/questions/images" \
        --out "$out/data" --keep-order --validation "$((samples / 10))"
}
[ -n "${measured+set}" ] || measured=(--questions "${QUESTIONS:-1024}")
measure() { [ -e "$out/$2.json" ] || "$python" -m "ergo_plugins.panels.$world.measure" "$1" "${measured[@]}" -o "$out/$2.json"; }

[ -z "${FRESH:-}" ] || rm -rf "$out"
[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
measure "$POLICY" before
[ -e "$out/data/validation.parquet" ] || rows
OUT=$out RECIPE=train_$name PROMPTS=ergo.episode.prompts=$PWD/recipes/tiny/${name}_prompts.yaml \
    bash recipes/tiny/grpo.sh trainer.test_freq=-1 trainer.val_before_train=false trainer.save_freq=8 \
    ${settings[@]+"${settings[@]}"} "$@"
measure "$out/merged" after
echo "Before and after are in $out/before.json and $out/after.json, curves in $out/tensorboard, rollouts of the last step in $out/rollouts.html"
