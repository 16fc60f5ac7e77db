#!/usr/bin/env bash
# What asking costs, measured: one model on one task, answering from the small image, always shown the whole one as well,
# from the whole one alone, and as it pleases; then one table (ergo cost). 80 GB for a 7B; hours not yet measured.
#   bash recipes/cost_visionthink.sh Senqiao/VisionThink-Efficient [task]       default: chartqa
# ENGINE (vllm, hf or openai), ARGS (more --model_args, as prompts=visionthink,base_url=…), LIMIT, INCLUDE (folder of own
# tasks), OUT. Seconds are those of a sample among CONCURRENCY others (1: nothing waits for anything). Killed, it goes on
# where it stopped when started again with the same settings.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "Usage: bash recipes/cost_visionthink.sh MODEL [task]" >&2; exit 1; }
model=$1
task=${2:-chartqa}
engine=${ENGINE:-vllm}
python=${PYTHON:-python}
out=${OUT:-runs/cost_visionthink}
args="model=$model${ARGS:+,$ARGS}"
if [ "$engine" != hf ]; then args+=",concurrency=${CONCURRENCY:-1}"; fi

journals=()
for ask in never always full policy; do
    mkdir -p "$out/$ask"
    "$python" -m lmms_eval --model "visionthink_$engine" --batch_size "${CONCURRENCY:-1}" --tasks "$task" --log_samples \
        --model_args "$args,ask=$ask,journal=$out/$ask/journal.jsonl" --output_path "$out/$ask/lmms_eval" \
        ${LIMIT:+--limit "$LIMIT"} ${INCLUDE:+--include_path "$INCLUDE"}
    journals+=("$ask=$out/$ask/journal.jsonl")
done
"$python" -m ergo_plugins.cli cost "${journals[@]}" -o "$out/cost.json"
