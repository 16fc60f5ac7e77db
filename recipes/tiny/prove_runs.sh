#!/usr/bin/env bash
# Runs of a recipe, each experiment with each seed, and then their table: what the prove_*.sh of this folder share. A script
# that sources this has said its recipe, the package of its world, and by the function `experiment` what a name means: it
# sets settings (verl's, an array) and whatever the recipe takes as a variable (POLICY, KIND, STEPS). Finished runs are kept.
set -euo pipefail
python=${VENV:-.venv}/bin/python
out=${OUT:-runs/${recipe/train/prove}}
[[ $out == /* ]] || out=$PWD/$out
export python out recipe
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore
# two cores are one run's, or shared by two
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((${JOBS:-2} > 1 ? 1 : 2))}

run() {
    local folder=$out/$1_$2 settings=() before
    [ ! -e "$folder/after.json" ] || return 0
    experiment "$1"
    # the same policy is measured once, not before each run
    before=$out/before_$(basename "$POLICY")${KIND:+_$KIND}.json
    mkdir -p "$folder"
    [ ! -e "$before" ] || [ -e "$folder/before.json" ] || cp "$before" "$folder/before.json"
    OUT=$folder SKIP_INSTALL=1 FRESH="" RAY_FOLDER="${TMPDIR:-/tmp}/ergo_$1_$2" \
        bash "recipes/tiny/$recipe.sh" trainer.save_freq=1000 "data.seed=$2" "actor_rollout_ref.rollout.seed=$2" \
        ${settings[@]+"${settings[@]}"} > "$folder.log" 2>&1
    [ -e "$before" ] || cp "$folder/before.json" "$before"
    rm -rf "$folder/checkpoints" "$folder/rollouts" "$folder/places" "$folder/questions"
    echo "$1, seed $2: done"
}

prove() {
    [ -n "${SKIP_INSTALL:-}" ] || bash recipes/environment.sh eval verl
    mkdir -p "$out"
    ! declare -F prepare > /dev/null || prepare "$@"
    export -f experiment run
    for seed in ${SEEDS:-0 1 2}; do for name; do echo "$name $seed"; done; done |
        xargs -P "${JOBS:-2}" -L 1 bash -c 'set -euo pipefail; run "$0" "$1"'
    "$python" -m "ergo_plugins.panels.$world.prove" "$out"
}
