#!/usr/bin/env bash
# Does a policy learn to look as often as it must, and is one zoom not enough? Runs of train_tool_zoom.sh, measured on 1,024
# held-out questions. Under 10 minutes a run; JOBS=1 at a time; finished runs are kept.
#   bash recipes/tiny/prove_tool_zoom.sh [EXPERIMENT...]   SEEDS="0 1 2" STEPS=24 QUESTIONS=1024, in OUT=runs/prove_tool_zoom
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/prove_tool_zoom}")
python=${VENV:-.venv}/bin/python
export STEPS=${STEPS:-24} QUESTIONS=${QUESTIONS:-1024} out python
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore

settings() {
    case $1 in
        n_turn) ;;
        one_zoom) echo ergo.episode.turns=2 ;;
        no_efficiency) echo algorithm.adv_estimator=grpo ;;
        shuffled) echo algorithm.adv_estimator=ergo_shuffled_grpo ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
run() {
    local folder=$out/$1_$2 chosen
    [ ! -e "$folder/after.json" ] || return 0
    chosen=$(settings "$1")
    # the same policy is measured once, not before each run
    local before=$out/before.json
    mkdir -p "$folder"
    [ ! -e "$before" ] || [ -e "$folder/before.json" ] || cp "$before" "$folder/before.json"
    # shellcheck disable=SC2086  # settings are words
    OUT=$folder SKIP_INSTALL=1 FRESH="" RAY_FOLDER="${TMPDIR:-/tmp}/ergo_$1_$2" \
        bash recipes/tiny/train_tool_zoom.sh "trainer.save_freq=$STEPS" "data.seed=$2" \
        "actor_rollout_ref.rollout.seed=$2" $chosen > "$folder.log" 2>&1
    [ -e "$before" ] || cp "$folder/before.json" "$before"
    rm -rf "$folder/checkpoints" "$folder/rollouts" "$folder/questions"
    echo "$1, seed $2: done"
}
export -f settings run

[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
mkdir -p "$out"
[ $# -gt 0 ] || set -- n_turn one_zoom shuffled no_efficiency
for seed in ${SEEDS:-0 1 2}; do for experiment; do echo "$experiment $seed"; done; done |
    xargs -P "${JOBS:-1}" -L 1 bash -c 'set -euo pipefail; run "$0" "$1"'
"$python" -m ergo_plugins.panels.zooming.prove "$out"
