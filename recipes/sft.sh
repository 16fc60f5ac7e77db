#!/usr/bin/env bash
# Supervised cold start through stock verl's own trainer: one node, as many processes as it has GPUs.
#   DATA=runs/egm_sft bash recipes/sft.sh sft_egm_8b [more settings of verl]        or sft_tool_zoom_7b
# DATA: what `ergo data egm-sft` or `ergo data from-rollouts` wrote. MODEL (the recipe's), OUT (runs/<recipe>), GPUS (all).
# Started again it goes on from the last checkpoint. The weights to train on: OUT/checkpoints/global_step_N/huggingface.
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=${1:?which recipe: sft_egm_8b or sft_tool_zoom_7b}
shift
python=${PYTHON:-python} out=${OUT:-runs/$recipe}
[ -f "recipes/$recipe.yaml" ] || { echo "There is no recipes/$recipe.yaml" >&2; exit 1; }
[ -f "${DATA:-}/train.parquet" ] || { echo "DATA=${DATA:-} has no train.parquet, which 'ergo data egm-sft' writes" >&2; exit 1; }
gpus=${GPUS:-$("$python" -c 'import torch; print(torch.cuda.device_count())')}
[ "$gpus" -gt 0 ] || { echo "No CUDA GPU in sight; tests/e2e/test_verl_sft.py takes a step on a CPU" >&2; exit 1; }
validation=$([ -f "$DATA/validation.parquet" ] && echo "data.val_files=$DATA/validation.parquet" || true)

mkdir -p "$out"
export VERL_FILE_LOGGER_PATH=${VERL_FILE_LOGGER_PATH:-$out/metrics.jsonl} TENSORBOARD_DIR=${TENSORBOARD_DIR:-$out/tensorboard}
"$python" -m torch.distributed.run --standalone --nproc_per_node="$gpus" -m verl.trainer.sft_trainer \
    --config-dir recipes --config-name "$recipe" data.train_files="$DATA/train.parquet" $validation \
    trainer.n_gpus_per_node="$gpus" trainer.default_local_dir="$out/checkpoints" ${MODEL:+model.path="$MODEL"} "$@"
