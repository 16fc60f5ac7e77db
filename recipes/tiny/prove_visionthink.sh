#!/usr/bin/env bash
# Does a policy learn when to ask, and what do the penalty and its rule do? Runs of train_visionthink.sh, measured on 1,024
# held-out questions. About 5 minutes a run; JOBS=2 at a time; finished runs are kept.
#   bash recipes/tiny/prove_visionthink.sh [EXPERIMENT...]   SEEDS="0 1 2" STEPS=16 QUESTIONS=1024, in OUT=runs/prove_visionthink
# Experiments that end in _90 start from a policy that asks nine times in ten.
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/prove_visionthink}")
python=${VENV:-.venv}/bin/python
export STEPS=${STEPS:-16} QUESTIONS=${QUESTIONS:-1024} out python
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore

settings() {
    case $1 in
        conditional | conditional_90) ;;
        code | code_90) echo ergo.reward.rule=code ergo.reward.theta=0.2 ;;
        paper | paper_90) echo ergo.reward.rule=paper ergo.reward.theta=0.2 ;;
        no_penalty) echo ergo.reward.penalty=0 ;;
        all_calls) echo ergo.reward.rule=own ergo.reward.penalty=0.8 ;; # more than reading right is worth over guessing
        theta_0 | theta_1) echo "ergo.reward.rule=paper ergo.reward.theta=${1#theta_}" ;;
        theta_50) echo ergo.reward.rule=paper ergo.reward.theta=0.5 ;;
        shuffled) echo algorithm.adv_estimator=ergo_shuffled_grpo ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
run() {
    local folder=$out/$1_$2 chosen policy=recipes/tiny/visionthink_policy
    [ ! -e "$folder/after.json" ] || return 0
    chosen=$(settings "$1")
    [[ $1 != *_90 ]] || policy=$out/calls_90
    # the same policy is measured once, not before each run
    local before=$out/before_$(basename "$policy").json
    mkdir -p "$folder"
    [ ! -e "$before" ] || [ -e "$folder/before.json" ] || cp "$before" "$folder/before.json"
    # shellcheck disable=SC2086  # settings are words
    OUT=$folder POLICY=$policy SKIP_INSTALL=1 FRESH="" RAY_FOLDER="${TMPDIR:-/tmp}/ergo_$1_$2" \
        bash recipes/tiny/train_visionthink.sh "trainer.save_freq=$STEPS" "data.seed=$2" \
        "actor_rollout_ref.rollout.seed=$2" $chosen > "$folder.log" 2>&1
    [ -e "$before" ] || cp "$folder/before.json" "$before"
    rm -rf "$folder/checkpoints" "$folder/rollouts" "$folder/questions"
    echo "$1, seed $2: done"
}
export -f settings run

[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
mkdir -p "$out"
[ $# -gt 0 ] || set -- conditional code paper shuffled no_penalty all_calls theta_0 theta_50 theta_1 \
    conditional_90 code_90 paper_90
if [[ $* == *_90* && ! -e $out/calls_90/training.json ]]; then
    CALLS=0.9 bash recipes/tiny/make_visionthink_policy.sh 0 "$out/calls_90" > "$out/calls_90.log" 2>&1
fi
for seed in ${SEEDS:-0 1 2}; do for experiment; do echo "$experiment $seed"; done; done |
    xargs -P "${JOBS:-2}" -L 1 bash -c 'set -euo pipefail; run "$0" "$1"'
"$python" -m ergo_plugins.panels.asking.prove "$out"
