#!/usr/bin/env bash
# Sourced by the training scripts: who judges in a recipe, known before a GPU is asked for anything.
set -euo pipefail

# judge_setting NAME RECIPE [SETTING…]: prints ergo.judge.NAME of a recipe: that of the settings, its own, or that of what
# it builds on; nothing where none says. A block `judge:` ends where the next line has no more blanks than it.
judge_setting() {
    local name=$1 recipe=$2 found="" base setting
    shift 2
    for setting; do
        case $setting in ergo.judge."$name"=* | +ergo.judge."$name"=* | ++ergo.judge."$name"=*) found=${setting#*=} ;; esac
    done
    [ -n "$found" ] || found=$(sed -n "/^  judge:/,/^ \{0,2\}[a-z]/s/^    $name: *\([^ ]*\).*/\1/p" "recipes/$recipe.yaml")
    if [ -z "$found" ]; then
        for base in $(sed -n 's/^  - \([a-z0-9_]*\)$/\1/p' "recipes/$recipe.yaml"); do
            [ ! -f "recipes/$base.yaml" ] || found=$(judge_setting "$name" "$base")
        done
    fi
    echo "$found"
}
