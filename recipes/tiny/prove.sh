#!/usr/bin/env bash
# Does it learn from the reward, and which part of the reward does what? Runs of the quickstart's training, three seeds
# each, measured on held-out scenes: GRPO, its control, learning rate 0, the paper's ablation rows A to E, a judge that
# sees the crop alone or the original beside it. About 5 minutes a run; JOBS=2 at a time; finished runs are kept.
#   bash recipes/tiny/prove.sh [EXPERIMENT...]    SEEDS="0 1 2" STEPS=16 SCENES=1024, results in OUT=runs/prove
set -euo pipefail
cd "$(dirname "$0")/../.."
absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }
out=$(absolute "${OUT:-runs/prove}")
python=${VENV:-.venv}/bin/python
export steps=${STEPS:-16} scenes=${SCENES:-1024} out python
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore

# reward weights as in recipes/ablation_*.yaml
settings() {
    case $1 in
        full) ;; # row E
        shuffled) echo algorithm.adv_estimator=ergo_shuffled_grpo ;;
        rate_0) echo actor_rollout_ref.actor.optim.lr=0 ;;
        a_accuracy) echo +ergo.reward.alpha=0 +ergo.reward.beta=0 ;;
        b_region) echo +ergo.reward.beta=0 +ergo.reward.accuracy=0 ;;
        c_region_box) echo +ergo.reward.beta=1 +ergo.reward.accuracy=0 ;;
        d_weighted) echo +ergo.reward.accuracy=0 ;;
        box_60) echo +ergo.reward.alpha=0 +ergo.reward.accuracy=0 +ergo.reward.gamma=0.6 ;;
        box_10) echo +ergo.reward.alpha=0 +ergo.reward.accuracy=0 +ergo.reward.gamma=0.1 ;;
        judge_crop) echo +ergo.reward.accuracy=0 ;;
        judge_original) echo +ergo.reward.accuracy=0 ergo.judge.sees=crop+original ;;
        *) echo "There is no experiment $1" >&2; return 1 ;;
    esac
}
run() {
    local folder=$out/$1_$2 chosen
    [ ! -e "$folder/figures.json" ] || return 0
    chosen=$(settings "$1")
    if [[ $1 == judge_* ]]; then
        "$python" -m ergo_plugins.panels.judge --port 0 > "$folder.judge" & judge=$!
        trap 'kill $judge' EXIT
        until JUDGE_URL=$(grep -om1 'http://[^ ]*' "$folder.judge"); do kill -0 "$judge"; sleep 0.2; done
        export JUDGE_URL RECIPE=train_judged
    fi
    # shellcheck disable=SC2086  # settings are words
    OUT=$folder STEPS=$steps SAMPLES=480 EVALUATE=no SKIP_INSTALL=1 FRESH="" RAY_FOLDER="${TMPDIR:-/tmp}/ergo_$1_$2" \
        bash recipes/tiny/train.sh trainer.test_freq=-1 trainer.val_before_train=false "trainer.save_freq=$steps" \
        "data.seed=$2" "actor_rollout_ref.rollout.seed=$2" $chosen > "$folder.log" 2>&1
    OMP_NUM_THREADS=1 "$python" -m ergo_plugins.panels.measure "$folder/merged" --scenes "$scenes" -o "$folder/figures.json" \
        >> "$folder.log" 2>&1
    rm -rf "$folder/checkpoints" "$folder/rollouts"
    echo "$1, seed $2: $(tr -d '\n' < "$folder/figures.json" | cut -c1-90)"
}
export -f settings run

[ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
mkdir -p "$out"
[ -e "$out/before.json" ] || "$python" -m ergo_plugins.panels.measure recipes/tiny/policy --scenes "$scenes" -o "$out/before.json"
[ $# -gt 0 ] || set -- full shuffled rate_0 a_accuracy b_region c_region_box d_weighted box_60 box_10 judge_crop judge_original
for seed in ${SEEDS:-0 1 2}; do for experiment; do echo "$experiment $seed"; done; done |
    xargs -P "${JOBS:-2}" -L 1 bash -c 'set -euo pipefail; run "$0" "$1"'
"$python" -m ergo_plugins.panels.prove "$out"
