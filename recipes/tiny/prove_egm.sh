#!/usr/bin/env bash
# Does a policy learn to find places from the overlap of its boxes, whatever the convention, and what is it that teaches?
# Runs of train_egm.sh, measured on 1,024 held-out places. About 4 minutes a run; JOBS=2 at a time; finished runs are kept.
#   bash recipes/tiny/prove_egm.sh [EXPERIMENT...]    SEEDS="0 1 2" STEPS=24 PLACES=1024, results in OUT=runs/prove_egm
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/prove_egm}")
python=${VENV:-.venv}/bin/python
export STEPS=${STEPS:-24} PLACES=${PLACES:-1024} out python
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore

settings() {
    case $1 in
        thousandths | pixels | dotted | covered) ;;
        shuffled) echo algorithm.adv_estimator=ergo_shuffled_grpo ;;
        rate_0) echo actor_rollout_ref.actor.optim.lr=0 ;;
        iou | indicator | sigmoid) echo "ergo.reward.shape=$1" ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
run() {
    local folder=$out/$1_$2 chosen kind=colour policy=recipes/tiny/egm_policy_qwen2_5
    [ ! -e "$folder/after.json" ] || return 0
    chosen=$(settings "$1")
    case $1 in thousandths) policy=recipes/tiny/egm_policy_qwen3 ;; dotted | covered) kind=$1 ;; esac
    # the same policy is measured once, not before each run
    local before=$out/before_$(basename "$policy")_$kind.json
    mkdir -p "$folder"
    [ ! -e "$before" ] || [ -e "$folder/before.json" ] || cp "$before" "$folder/before.json"
    # shellcheck disable=SC2086  # settings are words
    OUT=$folder KIND=$kind POLICY=$policy SKIP_INSTALL=1 FRESH="" RAY_FOLDER="${TMPDIR:-/tmp}/ergo_$1_$2" \
        bash recipes/tiny/train_egm.sh "trainer.save_freq=$STEPS" "data.seed=$2" "actor_rollout_ref.rollout.seed=$2" \
        $chosen > "$folder.log" 2>&1
    [ -e "$before" ] || cp "$folder/before.json" "$before"
    rm -rf "$folder/checkpoints" "$folder/rollouts" "$folder/places"
    echo "$1, seed $2: done"
}
export -f settings run

[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
mkdir -p "$out"
[ $# -gt 0 ] || set -- thousandths pixels shuffled rate_0 iou indicator sigmoid dotted covered
for seed in ${SEEDS:-0 1 2}; do for experiment; do echo "$experiment $seed"; done; done |
    xargs -P "${JOBS:-2}" -L 1 bash -c 'set -euo pipefail; run "$0" "$1"'
"$python" -m ergo_plugins.panels.locate.prove "$out"
