#!/usr/bin/env bash
# Serve the judge of crops with vLLM: the 72B on 4 x 80 GB. For recipes/train_ergo_7b.sh, JUDGE_URL=http://host:8001/v1
#   bash recipes/serve_judge.sh [vllm settings]    MODEL, TP=4, HOST=127.0.0.1, PORT=8001
# It decodes by what is asked of it, not by the checkpoint's own generation_config (a repetition penalty, top_k).
# It listens on this machine only; HOST=0.0.0.0 opens it to whoever can reach the port, so set --api-key then.
set -euo pipefail
command -v vllm >/dev/null || { echo "vllm is missing: install it as docs/install.md says" >&2; exit 1; }
command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1 || { echo "No NVIDIA GPU in sight to serve on" >&2; exit 1; }
exec vllm serve "${MODEL:-Qwen/Qwen2.5-VL-72B-Instruct}" --tensor-parallel-size "${TP:-4}" --max-model-len 8192 \
    --generation-config vllm --limit-mm-per-prompt '{"image": 2, "video": 0}' --host "${HOST:-127.0.0.1}" --port "${PORT:-8001}" "$@"
