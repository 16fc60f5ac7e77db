#!/usr/bin/env bash
# Sourced by the training scripts. A Ray cluster that was started elsewhere has neither this shell's variables nor its
# folder: variables have to be settings of verl, and paths absolute.
set -euo pipefail

# Fills the array ray_variables: every exported variable that names places, services or behaviour, as a setting of verl
# for Ray's runtime environment. Secrets are never among them: verl prints these settings, Ray logs them and shows them
# on its dashboard. They belong into the environment of `ray start`, on every node; an own cluster inherits them.
collect_ray_variables() {
    local name value kept_back=""
    ray_variables=()
    for name in $(compgen -e | sort); do
        value=${!name}
        case $name in
            VERL_* | TENSORBOARD_* | HF_* | HUGGINGFACE_* | TRANSFORMERS_* | WANDB_* | MLFLOW_* | SWANLAB_* | TRACKIO_*) ;;
            NCCL_* | VLLM_* | OMP_NUM_THREADS | TOKENIZERS_PARALLELISM | PYTHONWARNINGS) ;;
            *) continue ;;
        esac
        if [[ $(tr a-z A-Z <<< "$name") == *_@(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)?(_*) || $value == *://*:*@* ]]; then
            kept_back+=" $name"
            continue
        fi
        [[ $value != *$'\n'* && $value != *\\* && $value != *'${'* ]] ||
            { echo "$name holds a line break, a backslash or \${, which cannot be handed to verl: $value" >&2; return 1; }
        ray_variables+=("+ray_kwargs.ray_init.runtime_env.env_vars.$name='${value//\'/\\\'}'")
    done
    [ -z "$kept_back" ] || [ -z "${RAY_ADDRESS:-}" ] ||
        echo "Not handed to the Ray cluster, being secret:$kept_back. Export them before 'ray start', on every node." >&2
}

absolute() { [[ $1 == /* ]] && echo "$1" || echo "$PWD/$1"; }

# absolute_paths SETTING…: fills the array settings with the same, relative paths made absolute (from this folder).
# A path is what verl or we call so: …_dir, …_files, and prompts or path where such a file or folder is there (a path
# may also be a hub id or a pkg:// address). Lists are left as they are.
absolute_paths() {
    local setting key value
    settings=()
    for setting; do
        key=${setting%%=*} value=${setting#*=}
        case $key in
            *_dir | *_files) [[ $value == @(/*|*://*|\[*|null|"") ]] || setting=$key=$(absolute "$value") ;;
            *.path | *.prompts | *_path) [[ $value == /* ]] || [ ! -e "$value" ] || setting=$key=$(absolute "$value") ;;
        esac
        settings+=("$setting")
    done
}
