#!/usr/bin/env bash
# See it work, on any machine with Python 3.10 to 3.12; no GPU, no hub. About 8 minutes on 2 cores, most of them pip's.
#   bash recipes/quickstart.sh            SAMPLES=40 images, results in runs/quickstart/
# Makes high-resolution images, zooms into them with a tiny policy under stock lmms-eval, and writes a report.
# Run again after an interruption it goes on where it stopped; with FRESH=1 it begins anew.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-runs/quickstart}
samples=${SAMPLES:-40}
python=${VENV:-.venv}/bin/python
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore

[ -z "${FRESH:-}" ] || rm -rf "$out"
bash recipes/environment.sh eval

[ -e "$out/panels/test.parquet" ] ||
    "$python" recipes/tiny/make_data.py --samples "$samples" --split test --out "$out/panels"

"$python" -m lmms_eval --model ergo_hf --batch_size 8 \
    --model_args "model=recipes/tiny/policy,prompts=recipes/tiny/prompts.yaml,coarse_tokens=16,crop_tokens=16,zoom_new_tokens=24,answer_new_tokens=24,resample=box,journal=$out/journal.jsonl" \
    --include_path "$out/panels" --tasks ergo_panels --log_samples --output_path "$out/lmms_eval"

"$python" -m ergo_plugins.cli summary "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/summary.json"
"$python" -m ergo_plugins.cli report "$out/journal.jsonl" --samples "$out/lmms_eval" -o "$out/report.html"
echo "Open $out/report.html in a browser."
