#!/usr/bin/env bash
# A page to play with, no GPU and no download but Python packages: the tiny policies of this repository on their pictures.
#   bash recipes/demo.sh [options of ergo demo]      then open http://127.0.0.1:7860
# With a model of your own: ergo demo --model Qwen/Qwen2.5-VL-7B-Instruct --engine vllm, or --base-url of a server.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval demo
bin=${VENV:-.venv}/bin
pictures=runs/demo
make() { [ -e "$pictures/$1/questions.jsonl" ] || "$bin/python" -m "ergo_plugins.panels.$2" --split test --out "$pictures/$1" "${@:3}"; }
make panels make_data --samples 12
make asking asking.make_data --count 12
make places locate.make_data --count 12
make zooming zooming.make_data --count 12
exec "$bin/ergo" demo --choices recipes/tiny/demo.yaml "$@"
