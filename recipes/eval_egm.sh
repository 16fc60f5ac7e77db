#!/usr/bin/env bash
# Grounding on EGM's own eight splits with stock lmms-eval: one command, one table.
#   bash recipes/eval_egm.sh FOLDER IMAGES       FOLDER: refcoco_val.jsonl and so on, as the authors' repository has them
# MODEL (folder or hub id; nvidia/EGM-8B), BASELINE (a second model in the same table, such as Qwen/Qwen3-VL-8B-Instruct),
# ENGINE (egm_vllm; egm_openai with BASE_URL asks a server that runs), CONCURRENCY, TP, TOKENS (budget of the view),
# PROMPTS (a yaml with the words a checkpoint was trained on), ARGS (more of --model_args), OUT, LIMIT, TASKS (all eight).
# Latency: "s" is from asking to the whole reply, "served s" leaves out what a request waited in vLLM's own queue; a second
# pass asks ALONE sentences of refcoco_val (100; 0 for none) one at a time. Killed, it goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?the folder of the eight jsonl files} images=${2:?the folder of the images}
model=${MODEL:-nvidia/EGM-8B} engine=${ENGINE:-egm_vllm} out=${OUT:-runs/eval_egm}
python=${PYTHON:-python}
[ -z "${PROMPTS:-}" ] || [ -f "$PROMPTS" ] || { echo "PROMPTS=$PROMPTS is not a file" >&2; exit 1; }
[ "$engine" != egm_openai ] || [ -n "${BASE_URL:-}" ] || { echo "ENGINE=egm_openai needs BASE_URL" >&2; exit 1; }

[ -e "$out/tasks/egm_refcoco.yaml" ] ||
    "$python" -m ergo_plugins.tasks.make_refcoco "$folder" --images "$images" --out "$out/tasks"

evaluate() {  # evaluate MODEL FOLDER
    local args="model=$1,concurrency=$concurrency${TOKENS:+,view_tokens=$TOKENS}${PROMPTS:+,prompts=$PROMPTS}"
    case $engine in
        *_vllm) args+=",tensor_parallel_size=${TP:-1}" ;;
        *_openai) args+=",base_url=$BASE_URL" ;;
    esac
    mkdir -p "$2"
    "$python" -m lmms_eval --model "$engine" --model_args "$args${ARGS:+,$ARGS},journal=$2/journal.jsonl" \
        --include_path "$out/tasks" --tasks "$tasks" --log_samples --output_path "$2/lmms_eval" ${limit:+--limit "$limit"}
}

journals=()
measure() {  # measure MODEL FOLDER: all sentences, then some of them one at a time
    concurrency=${CONCURRENCY:-64} tasks=${TASKS:-egm_refcoco} limit=${LIMIT:-}
    evaluate "$1" "$2"
    journals+=("$2/journal.jsonl")
    [ "${ALONE:-100}" -gt 0 ] || return 0
    concurrency=1 tasks=${TASKS:-egm_refcoco_val} limit=${ALONE:-100}
    evaluate "$1" "$2_one_at_a_time"
    journals+=("$2_one_at_a_time/journal.jsonl")
}
measure "$model" "$out/egm"
[ -z "${BASELINE:-}" ] || measure "$BASELINE" "$out/baseline"
"$python" -m ergo_plugins.cli grounding "${journals[@]}" \
    -o "$out/grounding.json" | tee "$out/grounding.md"
"$python" -m ergo_plugins.cli report "$out/egm/journal.jsonl" --samples "$out/egm/lmms_eval" -o "$out/report.html"
