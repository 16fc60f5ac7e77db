#!/usr/bin/env bash
# Watch a small policy learn to say where something is, from the overlap of its boxes alone: GRPO with EGM's reward in
# stock verl on a CPU, then figures on places it has not seen. Under 10 minutes on 2 cores, 8 GB of memory.
#   bash recipes/tiny/train_egm.sh [verl settings]    STEPS=48 PLACES=1024 KIND=colour, results in OUT=runs/tiny_egm
# KIND=dotted: expressions that have to be thought about; KIND=covered: boxes of all of a tile that another one hides in
# part. POLICY=recipes/tiny/egm_policy_qwen2_5 writes pixels of its view instead of thousandths. Killed, it goes on where
# it stopped; FRESH=1 begins anew. What else can be set stands in recipes/tiny/grpo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
export POLICY=${POLICY:-recipes/tiny/egm_policy_qwen3} STEPS=${STEPS:-48}
name=egm world=locate kind=${KIND:-colour}
measured=(--places "${PLACES:-1024}" --kinds "$kind")
[ "$kind" != covered ] || settings=(+ergo.episode.extent=amodal)
rows() {
    "$python" -m ergo_plugins.panels.locate.make_data --kind "$kind" --count "$samples" --out "$out/places"
    "$python" -m ergo_plugins.cli data egm "$out/places/$kind.jsonl" --images "$out/places/images" --out "$out/data" \
        --validation "$((samples / 10))"
}
source recipes/tiny/learn.sh
