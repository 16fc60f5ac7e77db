#!/usr/bin/env bash
# Train ERGO on one node of 8 x 80 GB with its judge on the same node: the judge is started on its GPUs, waited for, and
# ended when the training ends.
#   DATA=runs/data bash recipes/train_beside_judge.sh 4_and_4 [verl settings]    the 72B judges on 4 GPUs, 4 train
#   DATA=runs/data bash recipes/train_beside_judge.sh 7_and_1 [verl settings]    its AWQ judges on 1, 7 train
# JUDGE: another judge, such as Qwen/Qwen2.5-VL-7B-Instruct. PORT=8001. JUDGE_WAIT_S=3600: how long it may load, its
# download included. CUDA_VISIBLE_DEVICES: the eight to use. All else as in recipes/train_ergo_7b.sh. The judge's log: OUT/judge.log
set -euo pipefail
cd "$(dirname "$0")/.."
source recipes/judge_setting.sh
case ${1:-} in
    4_and_4) training=4 judging=4 ;;
    7_and_1) training=7 judging=1 ;;
    *) echo "Usage: bash recipes/train_beside_judge.sh 4_and_4|7_and_1 [verl settings], not: ${1:-nothing}" >&2; exit 1 ;;
esac
recipe=train_ergo_7b_$1
shift
python=${PYTHON:-python} port=${PORT:-8001} wait_s=${JUDGE_WAIT_S:-3600}
export OUT=${OUT:-runs/$recipe} JUDGE_URL=http://127.0.0.1:$port/v1
judge=${JUDGE:-$(judge_setting model "$recipe" "$@")}

IFS=, read -r -a gpus <<< "${CUDA_VISIBLE_DEVICES:-0,1,2,3,4,5,6,7}"
[ ${#gpus[@]} -eq $((training + judging)) ] ||
    { echo "CUDA_VISIBLE_DEVICES names ${#gpus[@]} GPUs, and $recipe has a judge on $judging and trains on $training" >&2; exit 1; }
some() { local IFS=,; echo "${gpus[*]:$1:$2}"; }
train=(env "CUDA_VISIBLE_DEVICES=$(some 0 "$training")" bash recipes/train_ergo_7b.sh "$recipe" "ergo.judge.model=$judge" "$@")
ONLY_CHECK=1 "${train[@]}" # before minutes go by
answers() {
    "$python" -c 'import sys, urllib.request as web; web.build_opener(web.ProxyHandler({})).open(sys.argv[1], timeout=5)' \
        "$JUDGE_URL/models" 2>/dev/null
}
! answers || { echo "Something answers at $JUDGE_URL already: end it, or choose another PORT" >&2; exit 1; }

mkdir -p "$OUT"
CUDA_VISIBLE_DEVICES=$(some "$training" "$judging") MODEL=$judge TP=$judging HOST=127.0.0.1 PORT=$port \
    bash recipes/serve_judge.sh > "$OUT/judge.log" 2>&1 &
started=($!)
trap 'kill "${started[@]}" 2>/dev/null || true; wait' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
until answers; do
    kill -0 "${started[0]}" 2>/dev/null || { echo "The judge ended, and why stands in $OUT/judge.log: $(tail -n 1 "$OUT/judge.log")" >&2; exit 1; }
    [ "$SECONDS" -lt "$wait_s" ] || { echo "The judge was not up after JUDGE_WAIT_S=$wait_s: $OUT/judge.log" >&2; exit 1; }
    sleep 5
done
"${train[@]}" & # so that a signal is heard at once
started+=($!)
wait "${started[1]}"
