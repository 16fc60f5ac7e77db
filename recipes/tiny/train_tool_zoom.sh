#!/usr/bin/env bash
# Watch a small policy learn where to look and when it has seen enough: GRPO with n-turn zoom in stock verl on a CPU, then what
# it does with questions it has not seen. 18 minutes on 2 slow cores, 8 GB of memory.
#   bash recipes/tiny/train_tool_zoom.sh [verl settings]    STEPS=32 QUESTIONS=1024, results in OUT=runs/tiny_tool_zoom
# Killed, it goes on where it stopped; FRESH=1 begins anew. What else can be set stands in recipes/tiny/grpo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
export POLICY=${POLICY:-recipes/tiny/tool_zoom_policy} STEPS=${STEPS:-32}
name=tool_zoom world=zooming
source recipes/tiny/learn.sh
