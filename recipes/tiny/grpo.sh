#!/usr/bin/env bash
# GRPO of a tiny policy on rows that are there, then merged: what recipes/tiny/train*.sh share.
#   OUT=FOLDER RECIPE=train POLICY=FOLDER PROMPTS=ergo.zoom.prompts=FILE STEPS=8 bash recipes/tiny/grpo.sh [verl settings]
# Rows are OUT/data/train.parquet and validation.parquet. Killed, it goes on from the last checkpoint when started again;
# KILL_AT=n kills verl itself after step n and starts it again. RAY_ADDRESS takes a Ray cluster that is running, with
# 24 CPUs and a GPU in its books (they may be logical).
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "$OUT")
steps=${STEPS:-8}
python=${VENV:-.venv}/bin/python
source recipes/ray_settings.sh
export VERL_PLATFORM=ergo_cpu OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0 RAY_DEDUP_LOGS=0
policy=$(absolute "$POLICY")
[ -f "$policy/model.safetensors" ] || { echo "There is no policy in $policy" >&2; exit 1; }
mkdir -p "$out/metrics"

train() {
    local cluster=("+ray_kwargs.ray_init._temp_dir=${RAY_FOLDER:-${TMPDIR:-/tmp}/ergo_ray}")
    # a running cluster has its own size and address, and Ray refuses to be told another
    [ -z "${RAY_ADDRESS:-}" ] || cluster=(ray_kwargs.ray_init.num_cpus=null \
        "~ray_kwargs.ray_init."{num_gpus,include_dashboard,object_store_memory,_node_ip_address})
    export VERL_FILE_LOGGER_PATH="$out/metrics/$(date +%s).jsonl" TENSORBOARD_DIR="$out/tensorboard"
    collect_ray_variables
    absolute_paths "$@"
    exec "$python" -m verl.trainer.main_ppo --config-dir recipes/tiny --config-name "$RECIPE" \
        "hydra.run.dir=$out/hydra" "$PROMPTS" \
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

