#!/usr/bin/env bash
# All that is to be said of a GPU, on one card of 80 GB, with nothing fetched: the engine's table, the tests that need a
# card, two steps of training and their memory beside the plan. 8 minutes wanted; on a GPU not yet run.
#   bash recipes/bench/gpu.sh [--rehearse]    in OUT=runs/bench/gpu, with PYTHON=python of an environment that has all
# --rehearse goes the same way on a CPU, smaller, so that only the card is new. A part that fails keeps none from being
# tried; what failed is said at the end, and by the exit code.
set -euo pipefail
cd "$(dirname "$0")/../.."
case ${1:-} in "" | --rehearse) rehearse=${1:-} ;; *) echo "Usage: bash recipes/bench/gpu.sh [--rehearse], not: $*" >&2; exit 1 ;; esac
out=${OUT:-runs/bench/gpu}
python=${PYTHON:-python}
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=false VLLM_NO_USAGE_STATS=1
mkdir -p "$out"
"$python" - "$out/card.json" ${rehearse:+rehearse} <<'PYTHON'
import importlib
import json
import sys

import torch

if not torch.cuda.is_available() and "rehearse" not in sys.argv:
    sys.exit("No CUDA GPU is in sight. On a CPU: bash recipes/bench/gpu.sh --rehearse")
card = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
found = {
    "card": card.name if card else None,
    "memory_gib": card.total_memory / 2**30 if card else None,
    "cuda": torch.version.cuda,
    **{name: importlib.import_module(name).__version__ for name in ("torch", "transformers", "vllm", "verl", "ray")},
}
print(json.dumps(found, indent=2), file=open(sys.argv[1], "w"))
PYTHON

failed=()
part() {
    local name=$1 started=$SECONDS
    shift
    "$@" > "$out/$name.log" 2>&1 || failed+=("$name")
    echo "$name: $((SECONDS - started)) s"
    [ ! -e "$out/$name.json" ] || tail -n 60 "$out/$name.log"
}
if [ -n "$rehearse" ]; then
    part engine "$python" -m recipes.bench.engine -o "$out/engine.json"
    part step "$python" -m recipes.bench.step --rehearse -o "$out/step.json"
else
    part engine "$python" -m recipes.bench.engine --gpu -o "$out/engine.json"
    part tests "$python" -m pytest -q tests/gpu -m gpu
    part step "$python" -m recipes.bench.step -o "$out/step.json"
fi
[ ${#failed[@]} -eq 0 ] || { echo "Failed: ${failed[*]}; see their .log in $out" >&2; exit 1; }
