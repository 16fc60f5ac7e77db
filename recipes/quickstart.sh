#!/usr/bin/env bash
# Watch a small policy learn where to look, on any machine with Python 3.10 to 3.12; no GPU, no hub. On 2 cores about
# 10 minutes, of which pip takes 3. 4 GB of disk, 8 GB of memory.
#   bash recipes/quickstart.sh [--control]     STEPS=16 of training, SAMPLES=40 images, SCENES=512 for the figures
# Evaluates the shipped policy with stock lmms-eval, trains it by GRPO with stock verl, evaluates it again and writes
# runs/quickstart/report.html. --control trains once more with shuffled rewards; without it the control is the one that
# recipes/tiny/prove.sh recorded. Interrupted, it goes on where it stopped; with FRESH=1 it begins anew.
set -euo pipefail
cd "$(dirname "$0")/.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/quickstart}")
steps=${STEPS:-16}
python=${VENV:-.venv}/bin/python
case ${1:-} in "" | --control) ;; *) echo "Usage: bash recipes/quickstart.sh [--control], not: $*" >&2; exit 1 ;; esac
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

[ -z "${FRESH:-}" ] || rm -rf "$out"
bash recipes/environment.sh eval verl

# evaluate POLICY FOLDER: figures on many scenes, and lmms-eval on large images
evaluate() {
    [ -e "$2/figures.json" ] || "$python" -m ergo_plugins.panels.measure "$1" --scenes "${SCENES:-512}" -o "$2/figures.json"
    "$python" -m lmms_eval --model ergo_hf --batch_size 8 \
        --model_args "model=$1,prompts=recipes/tiny/prompts.yaml,coarse_tokens=16,crop_tokens=16,zoom_new_tokens=24,answer_new_tokens=24,resample=box,journal=$2/journal.jsonl" \
        --include_path "$out/panels" --tasks ergo_panels --log_samples --output_path "$2/lmms_eval"
}
# train FOLDER [verl settings]
train() {
    local folder=$1
    shift
    ! is_trained "$folder" || return 0
    OUT=$folder STEPS=$steps SAMPLES=480 EVALUATE=no SKIP_INSTALL=1 FRESH="" bash recipes/tiny/train.sh \
        trainer.test_freq=-1 trainer.val_before_train=false trainer.save_freq=8 "$@" 2>&1 |
        "$python" -m ergo_plugins.panels.watch "$folder/log.txt" --steps "$steps" ||
        { tail -n 30 "$folder/log.txt"; echo "Training stopped. Its whole output is in $folder/log.txt" >&2; exit 1; }
}
is_trained() {
    [ "$(cat "$1/checkpoints/latest_checkpointed_iteration.txt" 2>/dev/null || echo 0)" -ge "$steps" ] && [ -e "$1/summary.json" ]
}

say "1/4 Large images, and the shipped policy as it is"
[ -e "$out/panels/test.parquet" ] ||
    "$python" -m ergo_plugins.panels.make_data --samples "${SAMPLES:-40}" --split test --out "$out/panels"
evaluate recipes/tiny/policy "$out/before"

say "2/4 Training: $steps steps of GRPO"
is_trained "$out/training" || rm -rf "$out/after"
train "$out/training"

if [ "${1:-}" = --control ]; then
    say "      The same with shuffled rewards"
    is_trained "$out/control" || rm -f "$out/control/figures.json"
    train "$out/control" algorithm.adv_estimator=ergo_shuffled_grpo
    [ -e "$out/control/figures.json" ] || "$python" -m ergo_plugins.panels.measure "$out/control/merged" \
        --scenes "${SCENES:-512}" -o "$out/control/figures.json"
fi

say "3/4 The trained policy"
evaluate "$out/training/merged" "$out/after"

say "4/4 The report"
"$python" -m ergo_plugins.cli summary "$out/after/journal.jsonl" --samples "$out/after/lmms_eval" -o "$out/after/summary.json"
"$python" -m ergo_plugins.panels.quickstart_summary "$out" --recorded recipes/tiny/proof/control.json
"$python" -m ergo_plugins.cli compare "$out/before/journal.jsonl" "$out/after/journal.jsonl" \
    --samples-before "$out/before/lmms_eval" --samples-after "$out/after/lmms_eval" \
    --metrics "$out"/training/metrics/*.jsonl --figures "$out/summary.json" -o "$out/report.html"
"$python" -m ergo_plugins.cli report "$out/after/journal.jsonl" --samples "$out/after/lmms_eval" -o "$out/after/report.html"
say "Open $out/report.html in a browser."
