#!/usr/bin/env bash
# Does a policy learn to expect what it cannot see, and which part of the reward does what? Runs of train_context.sh, measured
# on 1,024 held-out scenes. JOBS=2 at a time took twenty minutes on 2 cores, with 8 GB each; finished runs are kept.
#   bash recipes/tiny/prove_context.sh [EXPERIMENT...]   SEEDS="0 1 2" STEPS=40 SCENES=1024, in OUT=runs/prove_context
set -euo pipefail
cd "$(dirname "$0")/../.."
recipe=train_context world=context
export STEPS=${STEPS:-40} SCENES=${SCENES:-1024} JOBS=${JOBS:-1}
source recipes/tiny/prove_runs.sh

# reward weights as in recipes/ablation_*.yaml
experiment() {
    export POLICY=recipes/tiny/context_policy TARGET=hidden
    case $1 in
        full) ;; # row E
        visible) TARGET=visible ;;
        shuffled) settings=(algorithm.adv_estimator=ergo_shuffled_grpo) ;;
        rate_0) settings=(actor_rollout_ref.actor.optim.lr=0) ;;
        a_accuracy) settings=(+ergo.reward.alpha=0 +ergo.reward.beta=0) ;;
        b_region) settings=(+ergo.reward.beta=0 +ergo.reward.accuracy=0) ;;
        c_region_box) settings=(+ergo.reward.beta=1 +ergo.reward.accuracy=0) ;;
        d_weighted) settings=(+ergo.reward.accuracy=0) ;;
        gamma_10 | gamma_30) settings=("+ergo.reward.gamma=0.${1#gamma_}") ;;
        gamma_100) settings=(+ergo.reward.gamma=1) ;;
        beta_0) settings=(+ergo.reward.beta=0) ;;
        beta_25) settings=(+ergo.reward.beta=0.25) ;;
        beta_100 | beta_200) settings=("+ergo.reward.beta=${1:5:1}") ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
[ $# -gt 0 ] || set -- full shuffled visible rate_0 a_accuracy b_region c_region_box d_weighted \
    gamma_10 gamma_30 gamma_100 beta_0 beta_25 beta_100 beta_200
prove "$@"
