#!/usr/bin/env bash
# Train ERGO with stock verl on CUDA GPUs: 8 x 80 GB, or 4 with half the batch. Hours not yet measured.
#   DATA=runs/data JUDGE_URL=http://judge:8001/v1 bash recipes/train_ergo_7b.sh [recipe] [verl settings]
# DATA is what `ergo data` wrote. JUDGE_URL: one or more, comma separated (recipes/serve_judge.sh); the recipe
# train_ergo_7b_judge_pool needs none and 4 GPUs more. Other recipes: ablation_a_accuracy … ablation_e_full,
# train_ergo_qwen3vl_8b. MODEL, GPUS, NODES (start Ray on all of them first), OUT.
# Killed, it resumes from the last checkpoint in OUT. Install: pip install -c constraints/gpu.txt -e '.[verl,vllm]' and
# pip install flash-attn --no-build-isolation
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=train_ergo_7b
if [ -f "recipes/${1:-}.yaml" ]; then recipe=$1; shift; fi
out=$(realpath -m "${OUT:-runs/$recipe}")
python=${PYTHON:-python}

"$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null ||
    { echo "No CUDA GPU in sight of '$python'. On a CPU, see recipes/tiny/train.sh" >&2; exit 1; }
"$python" -c 'import flash_attn' 2>/dev/null ||
    { echo "flash-attn is missing: $python -m pip install flash-attn --no-build-isolation" >&2; exit 1; }
[ -f "${DATA:-}/train.parquet" ] && [ -f "$DATA/validation.parquet" ] ||
    { echo "DATA=folder with train.parquet and validation.parquet is needed; make one with: ergo data --help" >&2; exit 1; }
[ -n "${JUDGE_URL:-}" ] || [[ $recipe == *judge_pool ]] ||
    { echo "JUDGE_URL=http://host:port/v1 is needed (recipes/serve_judge.sh), or the recipe train_ergo_7b_judge_pool" >&2; exit 1; }

mkdir -p "$out/metrics"
VERL_FILE_LOGGER_PATH="$out/metrics/$(date +%s).jsonl" TENSORBOARD_DIR="$out/tensorboard" exec "$python" \
    -m verl.trainer.main_ppo --config-dir recipes --config-name "$recipe" "hydra.run.dir=$out/hydra" \
    "data.train_files=$DATA/train.parquet" "data.val_files=$DATA/validation.parquet" \
    "trainer.default_local_dir=$out/checkpoints" "trainer.n_gpus_per_node=${GPUS:-8}" "trainer.nnodes=${NODES:-1}" \
    ${MODEL:+"actor_rollout_ref.model.path=$MODEL"} ${JUDGE_URL:+"ergo.judge.urls=[$JUDGE_URL]"} "$@"
