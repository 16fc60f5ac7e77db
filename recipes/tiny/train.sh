#!/usr/bin/env bash
# GRPO of the tiny policy with stock verl on a CPU, then merge and evaluate: 8 GB of memory, about 15 minutes on 2 cores.
#   bash recipes/tiny/train.sh [verl settings]    STEPS=8 SAMPLES=160 RECIPE=train, results in OUT=runs/tiny
# Killed, it goes on from the last checkpoint when started again; FRESH=1 begins anew. KILL_AT=n kills verl itself
# after step n and starts it again. EVALUATE=no leaves lmms-eval out. RECIPE=train_judged needs JUDGE_URL. RAY_ADDRESS
# takes a Ray cluster that is running, with 24 CPUs and a GPU in its books (they may be logical).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath -m "${OUT:-runs/tiny}")
steps=${STEPS:-8}
python=${VENV:-.venv}/bin/python
source recipes/ray_settings.sh
export VERL_PLATFORM=ergo_cpu OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0 RAY_DEDUP_LOGS=0
policy=$(realpath -m "${POLICY:-recipes/tiny/policy}")
[ -f "$policy/model.safetensors" ] || { echo "There is no policy in $policy: make one with recipes/tiny/make_policy.sh" >&2; exit 1; }

[ -z "${FRESH:-}" ] || rm -rf "$out"
[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
mkdir -p "$out/metrics"

# 896 px a side: the views are those of larger originals to the last bit, and decoding is not what is learned
[ -e "$out/data/validation.parquet" ] || {
    "$python" -m ergo_plugins.panels.make_data --samples "${SAMPLES:-160}" --split train --scale 4 --out "$out/panels"
    "$python" -m ergo_plugins.cli data panels "$out/panels/train.parquet" --out "$out/data" --need-box \
        --validation "$((${SAMPLES:-160} / 5))"
}

train() {
    local cluster=("+ray_kwargs.ray_init._temp_dir=${RAY_FOLDER:-${TMPDIR:-/tmp}/ergo_ray}")
    # a running cluster has its own size and address, and Ray refuses to be told another
    [ -z "${RAY_ADDRESS:-}" ] || cluster=(ray_kwargs.ray_init.num_cpus=null \
        "~ray_kwargs.ray_init."{num_gpus,include_dashboard,object_store_memory,_node_ip_address})
    export VERL_FILE_LOGGER_PATH="$out/metrics/$(date +%s).jsonl" TENSORBOARD_DIR="$out/tensorboard"
    collect_ray_variables
    absolute_paths "$@"
    exec "$python" -m verl.trainer.main_ppo --config-dir recipes/tiny --config-name "${RECIPE:-train}" \
        "hydra.run.dir=$out/hydra" "ergo.zoom.prompts=$PWD/recipes/tiny/prompts.yaml" \
        "data.train_files=$out/data/train.parquet" "data.val_files=$out/data/validation.parquet" \
        "actor_rollout_ref.model.path=$policy" "trainer.default_local_dir=$out/checkpoints" \
        "trainer.rollout_data_dir=$out/rollouts" "trainer.total_training_steps=$steps" \
        ${JUDGE_URL:+"ergo.judge.urls=[$JUDGE_URL]"} "${ray_variables[@]}" "${cluster[@]}" ${settings[@]+"${settings[@]}"}
}
written() { cat "$out/checkpoints/latest_checkpointed_iteration.txt" 2>/dev/null || echo 0; }

if [ -n "${KILL_AT:-}" ] && [ "$(written)" -lt "$KILL_AT" ]; then
    (train "$@") & verl=$!
    until grep -qs "^{\"step\":$KILL_AT," "$out"/metrics/*.jsonl || ! kill -0 "$verl" 2>/dev/null; do sleep 1; done
    kill -9 "$verl" && echo "Killed verl at the checkpoint of step $(written); it goes on from there."
    wait "$verl" || true
fi
[ "$(written)" -ge "$steps" ] || (train "$@")

PYTHON=$python bash recipes/merge.sh "$out/checkpoints" "$out/merged"
"$python" -m ergo_plugins.verl_plugin.training_summary "$out"/metrics/*.jsonl -o "$out/summary.json"
"$python" -m ergo_plugins.cli report "$out/rollouts" -o "$out/rollouts.html"

[ "${EVALUATE:-yes}" != no ] || exit 0
rm -f "$out/journal.jsonl" # of an earlier checkpoint; evaluating takes seconds
[ -e "$out/test/test.parquet" ] || "$python" -m ergo_plugins.panels.make_data --samples 40 --split test --out "$out/test"
"$python" -m lmms_eval --model ergo_hf --batch_size 8 --include_path "$out/test" --tasks ergo_panels --log_samples \
    --model_args "model=$out/merged,prompts=recipes/tiny/prompts.yaml,coarse_tokens=16,crop_tokens=16,zoom_new_tokens=24,answer_new_tokens=24,resample=box,journal=$out/journal.jsonl" \
    --output_path "$out/lmms_eval"
"$python" -m ergo_plugins.cli summary "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/evaluation.json"
"$python" -m ergo_plugins.cli report "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/report.html"
echo "Figures are in $out/summary.json and $out/evaluation.json, curves in $out/tensorboard, samples in $out/report.html, rollouts of the last step in $out/rollouts.html"
