#!/usr/bin/env bash
# Train ERGO with stock verl on CUDA GPUs: 8 x 80 GB, or 4 with half the batch. Hours not yet measured.
#   DATA=runs/data JUDGE_URL=http://judge:8001/v1 bash recipes/train_ergo_7b.sh [recipe] [verl settings]
# DATA is what `ergo data` wrote. JUDGE_URL: one or more, comma separated (recipes/serve_judge.sh); the recipe
# train_ergo_7b_judge_pool needs none and 4 GPUs more, and those that are rewarded by rules (train_rules, train_lora_3b,
# train_lora_7b) need no judge at all. All recipes, with GPUs and memory: docs/hardware.md
# MODEL, GPUS a node, NODES (docs/cluster.md), OUT; ONLY_CHECK=1 stops before the training. 4 GPUs: GPUS=4, and
# data.train_batch_size=64 actor_rollout_ref.actor.ppo_mini_batch_size=32 behind it, or recipes/train_beside_judge.sh
# 300 GB of disk, 256 GB of memory a node, and why: docs/cluster.md
# Killed, it resumes from the last checkpoint in OUT and keeps the metrics so far. Install as docs/install.md says, then
# (needs nvcc 13.x, unless pip finds a prebuilt wheel)
#   pip install 'setuptools>=77,<81' wheel ninja psutil packaging && pip install flash-attn==2.8.3 --no-build-isolation
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=train_ergo_7b
if [ -f "recipes/${1:-}.yaml" ]; then recipe=$1; shift; fi
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/$recipe}")
python=${PYTHON:-python}
flash_attn="pip install 'setuptools>=77,<81' wheel ninja psutil packaging && pip install flash-attn==2.8.3 --no-build-isolation"
source recipes/ray_settings.sh
source recipes/judge_setting.sh
judge=$(judge_setting source "$recipe" "$@")

"$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null ||
    { echo "No CUDA GPU in sight of '$python'. On a CPU, see recipes/tiny/train.sh" >&2; exit 1; }
"$python" -c 'import flash_attn' 2>/dev/null ||
    { echo "flash-attn is missing (needs nvcc 13.x unless pip finds a prebuilt wheel): $flash_attn" >&2; exit 1; }
[ -f "${DATA:-}/train.parquet" ] && [ -f "$DATA/validation.parquet" ] ||
    { echo "DATA=folder with train.parquet and validation.parquet is needed; make one with: ergo data --help" >&2; exit 1; }
[ -n "${JUDGE_URL:-}" ] || [ "$judge" != endpoints ] ||
    { echo "JUDGE_URL=http://host:port/v1 is needed (recipes/serve_judge.sh), or the recipe train_rules or train_ergo_7b_judge_pool" >&2; exit 1; }
[ -z "${JUDGE_URL:-}" ] || [ "$judge" = endpoints ] ||
    { echo "JUDGE_URL=$JUDGE_URL would not be asked: $recipe has ergo.judge.source=$judge; leave it out" >&2; exit 1; }
[[ ${NODES:-1} == 1 || ! ${JUDGE_URL:-} =~ //(127\.|localhost|\[::1\]) ]] ||
    { echo "JUDGE_URL=$JUDGE_URL is another machine on each of the $NODES nodes: give the judge's own address" >&2; exit 1; }

[ -z "${ONLY_CHECK:-}" ] || exit 0

# Ray's processes may run in another folder and know nothing of this shell (ray_settings.sh)
data=$(absolute "$DATA")
model=${MODEL:-}
[ ! -d "$model" ] || model=$(absolute "$model")
mkdir -p "$out/metrics"
export VERL_FILE_LOGGER_PATH="$out/metrics/$(date +%s).jsonl" TENSORBOARD_DIR="$out/tensorboard"
collect_ray_variables
absolute_paths "$@"
exec "$python" -m verl.trainer.main_ppo --config-dir recipes --config-name "$recipe" "hydra.run.dir=$out/hydra" \
    "data.train_files=$data/train.parquet" "data.val_files=$data/validation.parquet" \
    "trainer.default_local_dir=$out/checkpoints" "trainer.nnodes=${NODES:-1}" \
    ${GPUS:+"trainer.n_gpus_per_node=$GPUS"} \
    ${model:+"actor_rollout_ref.model.path=$model"} ${JUDGE_URL:+"ergo.judge.urls=[$JUDGE_URL]"} \
    "${ray_variables[@]}" ${settings[@]+"${settings[@]}"}
