#!/usr/bin/env bash
# Teach the tiny policy and write recipes/tiny/policy. About 10 minutes if two CPU cores are free; 2 GB of memory.
# Any option of teach.py may follow: recipes/tiny/make_policy.sh --seed 1 --out runs/policy_1
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${VENV:-.venv}/bin/python" recipes/tiny/teach.py --out recipes/tiny/policy "$@"
