#!/usr/bin/env bash
# Does a policy learn when to ask, and what do the penalty and its rule do? Runs of train_visionthink.sh, measured on 1,024
# held-out questions. About 7 minutes a run; JOBS=2 at a time; finished runs are kept.
#   bash recipes/tiny/prove_visionthink.sh [EXPERIMENT...]   SEEDS="0 1 2" STEPS=24 QUESTIONS=1024, in OUT=runs/prove_visionthink
# Experiments that end in _90 start from a policy that asks nine times in ten.
set -euo pipefail
cd "$(dirname "$0")/../.."
recipe=train_visionthink world=asking
export STEPS=${STEPS:-24} QUESTIONS=${QUESTIONS:-1024}
source recipes/tiny/prove_runs.sh

experiment() {
    export POLICY=recipes/tiny/visionthink_policy
    [[ $1 != *_90 ]] || POLICY=$out/calls_90
    case $1 in
        conditional | conditional_90) ;;
        code | code_90) settings=(ergo.reward.rule=code ergo.reward.theta=0.2) ;;
        paper | paper_90) settings=(ergo.reward.rule=paper ergo.reward.theta=0.2) ;;
        no_penalty) settings=(ergo.reward.penalty=0) ;;
        all_calls) settings=(ergo.reward.rule=own ergo.reward.penalty=0.8) ;; # more than reading right is worth over guessing
        theta_0 | theta_1) settings=(ergo.reward.rule=paper "ergo.reward.theta=${1#theta_}") ;;
        theta_50) settings=(ergo.reward.rule=paper ergo.reward.theta=0.5) ;;
        shuffled) settings=(algorithm.adv_estimator=ergo_shuffled_grpo) ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
prepare() {
    [[ $* == *_90* && ! -e $out/calls_90/training.json ]] || return 0
    CALLS=0.9 bash recipes/tiny/make_visionthink_policy.sh 0 "$out/calls_90" > "$out/calls_90.log" 2>&1
}
[ $# -gt 0 ] || set -- conditional code paper shuffled no_penalty all_calls theta_0 theta_50 theta_1 \
    conditional_90 code_90 paper_90
prove "$@"
