#!/usr/bin/env bash
# Can a small policy learn from landmarks where to look for what it cannot see? GRPO with ERGO's reward in stock verl on a
# CPU, then what it does in scenes it has not seen. Two runs beside each other took twenty minutes on 2 cores; 8 GB each.
#   bash recipes/tiny/train_context.sh [verl settings]    STEPS=40 SCENES=1024, results in OUT=runs/tiny_context
# TARGET=visible trains on scenes that show where patterns are. Killed, it goes on where it stopped; FRESH=1 begins anew.
# What else can be set stands in recipes/tiny/grpo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
export POLICY=${POLICY:-recipes/tiny/context_policy} STEPS=${STEPS:-40}
name=context world=context measured=(--scenes "${SCENES:-1024}")
rows() {
    "$python" -m ergo_plugins.panels.context.make_data --target "${TARGET:-hidden}" --count "$samples" --out "$out/questions"
    "$python" -m ergo_plugins.cli data jsonl "$out/questions/questions.jsonl" --images "$out/questions/images" \
        --out "$out/data" --keep-order --need-box --validation "$((samples / 10))"
}
source recipes/tiny/learn.sh
"$python" -m ergo_plugins.panels.context.words "$out/rollouts" -o "$out/words.json" > /dev/null
