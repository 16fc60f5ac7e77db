#!/usr/bin/env bash
# Watch a small policy learn when to ask for the full image: GRPO with VisionThink's reward and group rule in stock verl on
# a CPU, then how it asks on questions it has not seen. About 10 minutes on 2 cores, 8 GB of memory.
#   bash recipes/tiny/train_visionthink.sh [verl settings]    STEPS=24 QUESTIONS=1024, results in OUT=runs/tiny_visionthink
# Killed, it goes on where it stopped; FRESH=1 begins anew. What else can be set stands in recipes/tiny/grpo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
export POLICY=${POLICY:-recipes/tiny/visionthink_policy} STEPS=${STEPS:-24}
name=visionthink world=asking
source recipes/tiny/learn.sh
