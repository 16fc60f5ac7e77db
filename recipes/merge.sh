#!/usr/bin/env bash
# Turn a checkpoint of a training run into a Hugging Face folder that transformers, vLLM and lmms-eval load.
#   bash recipes/merge.sh runs/train_ergo_7b/checkpoints [folder]    the last step, or a global_step_N folder
set -euo pipefail
[ $# -ge 1 ] || { echo "Usage: bash recipes/merge.sh CHECKPOINTS [FOLDER]" >&2; exit 1; }
checkpoint=$1
if [ -f "$checkpoint/latest_checkpointed_iteration.txt" ]; then
    checkpoint=$checkpoint/global_step_$(cat "$checkpoint/latest_checkpointed_iteration.txt")
fi
[ -d "$checkpoint/actor" ] || { echo "There is no checkpoint of verl in $checkpoint" >&2; exit 1; }
"${PYTHON:-python}" -m verl.model_merger merge --backend fsdp --local_dir "$checkpoint/actor" \
    --target_dir "${2:-$checkpoint/huggingface}"
echo "Evaluate it: MODEL=${2:-$checkpoint/huggingface} bash recipes/eval_ergo_7b.sh"
