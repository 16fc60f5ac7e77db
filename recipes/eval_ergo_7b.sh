#!/usr/bin/env bash
# Evaluate an ERGO checkpoint with stock lmms-eval. One 80 GB GPU holds the 7B; DP=n runs n of them side by side,
# TP=n splits one over n (n divides the 28 heads and the KV heads: 1, 2 or 4), DP times TP GPUs in all.
#   bash recipes/eval_ergo_7b.sh [tasks]          default: the certain benchmarks of the paper
#   BASELINE=1 bash recipes/eval_ergo_7b.sh       the plain single-pass model at 16384 tokens, same code
# MODEL (folder or hub id), TOKENS (budget of each view, 640), DP, TP, CONCURRENCY, PROMPTS (for nota-ai/ERGO-7B
# ergo-7b, or the file src/ergo/const.py of its repository, so that it is asked what it was trained on), OUT, LIMIT.
# Killed, it goes on where it stopped when started again with the same settings.
set -euo pipefail
cd "$(dirname "$0")/.."
tasks=${1:-vstar_bench,hrbench4k,hrbench8k,mmerealworld_lite,cv_bench}
model=${MODEL:-nota-ai/ERGO-7B}
tokens=${TOKENS:-640}
python=${PYTHON:-python}

"$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' ||
    { echo "No CUDA GPU in sight of '$python'. On a CPU, see recipes/quickstart.sh" >&2; exit 1; }
[ -z "${PROMPTS:-}" ] || [ "$PROMPTS" = ergo-7b ] || [ -f "$PROMPTS" ] || { echo "PROMPTS=$PROMPTS is not a file" >&2; exit 1; }
[ "$model" != nota-ai/ERGO-7B ] || [ -n "${PROMPTS:-}" ] || [ -n "${BASELINE:-}" ] ||
    echo "Note: without PROMPTS=ergo-7b the released checkpoint is asked in our words, not in those of its training." >&2

args="model=$model,tensor_parallel_size=${TP:-1},concurrency=${CONCURRENCY:-$((64 * ${DP:-1}))}"
[ "${DP:-1}" = 1 ] || args+=",data_parallel_size=$DP"
if [ -n "${BASELINE:-}" ]; then
    out=${OUT:-runs/eval_single_pass}
    args+=",zoom=off,coarse_tokens=16384"
else
    out=${OUT:-runs/eval_ergo_7b_$tokens}
    args+=",coarse_tokens=$tokens,crop_tokens=$tokens${PROMPTS:+,prompts=$PROMPTS}"
fi
mkdir -p "$out"
"$python" -m lmms_eval --model ergo_vllm --model_args "$args,journal=$out/journal.jsonl" \
    --tasks "$tasks" --log_samples --output_path "$out/lmms_eval" ${LIMIT:+--limit "$LIMIT"}
"$python" -m ergo_plugins.cli summary "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/summary.json"
"$python" -m ergo_plugins.cli report "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/report.html"
