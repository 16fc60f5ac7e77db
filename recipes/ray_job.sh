#!/usr/bin/env bash
# Train on a Ray cluster that runs, through its job server: the terminal can be closed, `ray job logs` shows what happens.
#   DATA=/shared/data OUT=/shared/runs/ergo NODES=2 bash recipes/ray_job.sh http://first-machine:8265 [recipe] [verl settings]
# From a checkout that all machines see at the same path. NODES, GPUS, DATA, OUT, MODEL, JUDGE_URL and PYTHON as in
# recipes/train_ergo_7b.sh, which the job runs; secrets belong into the environment of `ray start` (docs/cluster.md).
set -euo pipefail
cd "$(dirname "$0")/.."
[[ ${1:-} == http*://* ]] ||
    { echo "Usage: bash recipes/ray_job.sh http://first-machine:8265 [recipe] [verl settings], not: ${1:-nothing}" >&2; exit 1; }
address=$1
shift
command -v ray >/dev/null || { echo "ray is missing: install verl as docs/install.md says" >&2; exit 1; }
[[ ${DATA:-} == /* && ${OUT:-} == /* ]] ||
    { echo "DATA=${DATA:-} and OUT=${OUT:-} have to be absolute: the job may run on another machine" >&2; exit 1; }

handed=()
for name in DATA OUT NODES GPUS MODEL JUDGE_URL PYTHON; do
    [ -z "${!name:-}" ] || handed+=("$name=${!name}")
done
exec ray job submit --address "$address" --no-wait -- env "${handed[@]}" bash "$PWD/recipes/train_ergo_7b.sh" "$@"
