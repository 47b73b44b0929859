#!/usr/bin/env bash
# The tables of docs/results/compare.md, made anew: experiments/compare_tables.sh TRACES JUDGE OUT
# TRACES is a folder with kodcode_r1.jsonl.gz and math_r1_qwq.jsonl.gz, JUDGE a model for --judge, such as
# hf:Qwen/Qwen2.5-Coder-0.5B-Instruct. It may be killed; the same command goes on where it was. One thread is faster than two that share
# their core with other work: start it with OMP_NUM_THREADS=1.
set -euo pipefail
traces=$1 judge=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}" # for experiments.remedies
one_pass=asap,asap-fine,alignment,first-token-entropy,mean-surprisal,step-entropy
controls=random,random-block,keep-ends,keep-head,keep-tail,longest-first
mkdir -p "$out"
cd "$out"

for kind in code fenced passing; do
    python "$here/choose_rows.py" $kind "$traces/kodcode_r1.jsonl.gz" $kind.jsonl
done
python "$here/choose_rows.py" math "$traces/math_r1_qwq.jsonl.gz" math.jsonl

compare() { # ROWS NAME OPTIONS...
    asap compare "$1.jsonl" --out "$2" --dtype bfloat16 "${@:3}"
}
by_judge() {
    compare "$@" --judge "$judge"
}
by_judge code compared --limit 24 --cluster problem_id --methods $one_pass,$controls,functional-first
by_judge math compared-math --limit 24 --ratios 0.5 --methods asap,asap-fine,alignment,mean-surprisal,step-entropy,$controls
by_judge fenced compared-fenced --limit 6 --cluster problem_id --ratios 0.5 \
    --methods asap,asap-fine,alignment,random,random-block,keep-head,keep-tail
compare code compared-larger --scorer "$judge" --judge bundled --limit 24 --cluster problem_id --ratios 0.5 \
    --methods $one_pass,random,random-block,keep-ends,keep-head,keep-tail
by_judge code compared-ends --limit 24 --cluster problem_id --keep-first 1 --keep-last 3 --methods asap,asap-fine,random
by_judge code compared-sub --limit 12 --cluster problem_id --ratios 0.5 \
    --methods asap,alignment,random,random-block,selective-context,spirit,leave-one-out,cut-after-answer
by_judge passing compared-answers --limit 48 --cluster problem_id --ratios 0.5 --generate 400 \
    --methods asap,alignment,random,random-block,keep-tail
by_judge code compared-remedies --limit 24 --cluster problem_id --methods \
    asap,asap-fine,first-token-entropy,experiments.remedies:local_surprisal,experiments.remedies:past_fence_surprisal,experiments.remedies:aligned_surprisal,alignment,random,keep-tail,selective-context
