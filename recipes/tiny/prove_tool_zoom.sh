#!/usr/bin/env bash
# Does a policy learn to look as often as it must, and is one zoom not enough? Runs of train_tool_zoom.sh, measured on 1,024
# held-out questions. 10 to 18 minutes a run; JOBS=1 at a time; finished runs are kept.
#   bash recipes/tiny/prove_tool_zoom.sh [EXPERIMENT...]   SEEDS="0 1 2" STEPS=32 QUESTIONS=1024, in OUT=runs/prove_tool_zoom
set -euo pipefail
cd "$(dirname "$0")/../.."
recipe=train_tool_zoom world=zooming
export STEPS=${STEPS:-32} QUESTIONS=${QUESTIONS:-1024} JOBS=${JOBS:-1}
source recipes/tiny/prove_runs.sh

experiment() {
    export POLICY=recipes/tiny/tool_zoom_policy
    case $1 in
        n_turn) ;;
        one_zoom) settings=(ergo.episode.turns=2) ;;
        no_efficiency) settings=(algorithm.adv_estimator=grpo) ;;
        shuffled) settings=(algorithm.adv_estimator=ergo_shuffled_grpo) ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
[ $# -gt 0 ] || set -- n_turn one_zoom shuffled no_efficiency
prove "$@"
