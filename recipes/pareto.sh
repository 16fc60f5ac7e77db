#!/usr/bin/env bash
# What accuracy costs: a single pass, ERGO's two looks and n-turn zoom at several budgets, one table and one drawing.
#   bash recipes/pareto.sh MODEL        on a GPU with vLLM: TASKS=vstar_bench, results in OUT=runs/pareto
# SINGLE, ERGO, ZOOM: budgets of visual tokens (1280 2560 16384; 640 1280; 1280), empty for none of the kind. ENGINE (vllm, hf,
# openai with BASE_URL), CONCURRENCY, INCLUDE (a folder of tasks), LIMIT, ARGS and SINGLE_ARGS, ERGO_ARGS, ZOOM_ARGS (more of
# --model_args, such as profile=qwen3_vl). ERGO_MODEL, ZOOM_MODEL: other checkpoints for these; by default MODEL for all.
# On a CPU, in the tiny world: bash recipes/tiny/pareto.sh. Killed, it goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:?which model: a folder, a hub id, or the name a server knows}
out=${OUT:-runs/pareto} engine=${ENGINE:-vllm} python=${PYTHON:-python}
[ "$engine" != openai ] || [ -n "${BASE_URL:-}" ] || { echo "ENGINE=openai needs BASE_URL" >&2; exit 1; }
folders=()

evaluate() {  # evaluate NAME METHOD MODEL ARGUMENTS
    local args="model=$3,$4${ARGS:+,$ARGS}"
    [ "$engine" = hf ] || args+=",concurrency=${CONCURRENCY:-64}"
    [ "$engine" != openai ] || args+=",base_url=$BASE_URL"
    folders+=("$out/$1")
    mkdir -p "$out/$1"
    "$python" -m lmms_eval --model "$2_$engine" --model_args "$args,journal=$out/$1/journal.jsonl" --batch_size "${BATCH:-1}" \
        ${INCLUDE:+--include_path "$INCLUDE"} --tasks "${TASKS:-vstar_bench}" --log_samples --output_path "$out/$1/lmms_eval" \
        ${LIMIT:+--limit "$LIMIT"}
}

for tokens in ${SINGLE-1280 2560 16384}; do
    evaluate "single_$tokens" single_pass "$model" "coarse_tokens=$tokens${SINGLE_ARGS:+,$SINGLE_ARGS}"
done
for tokens in ${ERGO-640 1280}; do
    evaluate "ergo_$tokens" ergo "${ERGO_MODEL:-$model}" "coarse_tokens=$tokens,crop_tokens=$tokens${ERGO_ARGS:+,$ERGO_ARGS}"
done
for tokens in ${ZOOM-1280}; do
    evaluate "zoom_$tokens" tool_zoom "${ZOOM_MODEL:-$model}" "view_tokens=$tokens,crop_tokens=$tokens${ZOOM_ARGS:+,$ZOOM_ARGS}"
done
"$python" -m ergo_plugins.cli pareto "${folders[@]}" -o "$out/pareto.svg" --json "$out/pareto.json" | tee "$out/pareto.md"
