#!/usr/bin/env bash
# Train ERGO with stock verl and no judge: a crop is right if it shows the target box of its row. 8 x 80 GB.
#   ergo data vstar … --need-box --out runs/data && DATA=runs/data bash recipes/train_rules.sh [verl settings]
# Variables and all else are those of recipes/train_ergo_7b.sh, but for JUDGE_URL, which is not asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
exec bash recipes/train_ergo_7b.sh train_rules "$@"
