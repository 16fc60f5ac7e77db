#!/usr/bin/env bash
# Does a policy learn to find places from the overlap of its boxes, whatever the convention, and what is it that teaches?
# Runs of train_egm.sh, measured on 1,024 held-out places. 4 to 8 minutes a run; JOBS=2 at a time; finished runs are kept.
#   bash recipes/tiny/prove_egm.sh [EXPERIMENT...]    SEEDS="0 1 2" PLACES=1024, results in OUT=runs/prove_egm
# STEPS is 48 for thousandths, whose policy was taught less, and 24 for the others.
set -euo pipefail
cd "$(dirname "$0")/../.."
recipe=train_egm world=locate
export PLACES=${PLACES:-1024} chosen_steps=${STEPS:-}
source recipes/tiny/prove_runs.sh

experiment() {
    export POLICY=recipes/tiny/egm_policy_qwen2_5 KIND=colour STEPS=${chosen_steps:-24}
    case $1 in
        thousandths) POLICY=recipes/tiny/egm_policy_qwen3 STEPS=${chosen_steps:-48} ;;
        pixels) ;;
        dotted | covered) KIND=$1 ;;
        shuffled) settings=(algorithm.adv_estimator=ergo_shuffled_grpo) ;;
        rate_0) settings=(actor_rollout_ref.actor.optim.lr=0) ;;
        iou | indicator | sigmoid) settings=("ergo.reward.shape=$1") ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
[ $# -gt 0 ] || set -- thousandths pixels shuffled rate_0 iou indicator sigmoid dotted covered
prove "$@"
