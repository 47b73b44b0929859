#!/bin/bash
# One machine with eight GPUs: one run, a process for each of them. Nothing has to be merged, and the same command again goes on where it
# was. Words after the file name go to asap prune, such as --dry-run.
set -euo pipefail

source=${SOURCE:-traces.jsonl}
scorer=${SCORER:-hf:Qwen/Qwen2.5-Coder-7B-Instruct}
devices=${DEVICES:-cuda:0,cuda:1,cuda:2,cuda:3,cuda:4,cuda:5,cuda:6,cuda:7}

exec asap prune "$source" --out pruned --devices "$devices" --scorer "$scorer" "$@"
