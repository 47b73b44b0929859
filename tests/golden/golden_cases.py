"""The golden runs by name: what is typed for each one. They run in this order, in one folder, and each writes into a folder of its name."""

_CPU = ["--device", "cpu", "--dtype", "float32"]
_ALL = "in/rows.jsonl"
_SCORER = ["--scorer", "hf:models/scorer", *_CPU]
_CLASSIFIER = ["--classifier", "models/classifier"]
_HALF = ["--ratio", "0.5"]
_LLM = ["--llm", "openai:scripted", "--base-url", "{server}", "--concurrency", "1", "--attempts", "2"]

STEP_METHODS = (
    "alignment",
    "first-token-entropy",
    "mean-surprisal",
    "step-entropy",
    "spirit",
    "leave-one-out",
    "cut-after-answer",
    "coverage",
    "random",
    "random-block",
    "keep-head",
    "keep-tail",
    "keep-ends",
    "longest-first",
    "functional-first",
)


def _prune(*options: str, source: str = "in/few.jsonl") -> list[str]:
    return ["prune", source, *([] if "--scorer" in options else _SCORER), *options]


def _inside(method: str, *options: str, source: str = "in/few.jsonl") -> list[str]:
    return _prune("--method", method, *([] if method == "selective-context" else _CLASSIFIER), *options, source=source)


def _compare(*options: str, source: str = "in/few.jsonl") -> list[str]:
    return ["compare", source, *_SCORER, *options]


PRUNE = {
    "asap-align": _prune(*_HALF, "--format", "trl", "--format", "axolotl", "--format", "llamafactory", "--format", "sharegpt", source=_ALL),
    "asap-fine": _prune(*_HALF, "--coarse", "none", source=_ALL),
    "asap-budget": _prune("--budget", "60", "--coarse-share", "0.4", source=_ALL),
    "asap-default-budget": _prune(),
    "asap-coarse-only": _prune("--coarse-only", *_HALF),
    "asap-paper-split": _prune(*_HALF, "--step-split", "paper"),
    "asap-lines": _prune(*_HALF, "--step-split", "line", source=_ALL),
    "asap-sentences": _prune("--ratio", "0.3", "--step-split", "sentence", "--scores", "every"),
    "asap-own-scores": _prune(*_HALF, "--scores", "own"),
    "asap-every-score": _prune(*_HALF, "--scores", "every"),
    "asap-rescore": _prune(*_HALF, "--coarse", "none", "--rescore", "2", "--backfill"),
    "asap-backfill": _prune(*_HALF, "--backfill"),
    "asap-gap": _prune(*_HALF, "--gap", "[SKIP]"),
    "refused": _prune(*_HALF, "--backfill", "--gap", "[SKIP]"),
    "asap-keep-ends": _prune("--ratio", "0.4", "--keep-first", "1", "--keep-last", "2"),
    "asap-floor": _prune("--ratio", "0.2", "--coarse", "none", "--support-floor", "0.1"),
    "asap-floor-align": _prune("--ratio", "0.3", "--support-floor", "0.02"),
    "floor-keep-tail": _prune("--method", "keep-tail", "--ratio", "0.2", "--support-floor", "0.1", source=_ALL),
    "asap-raw-context": _prune(*_HALF, "--coarse", "none", "--context", "raw"),
    "asap-short-context": _prune("--scorer", "hf:models/short", *_CPU, *_HALF, source=_ALL),
    "asap-other-tokenizer": _prune(*_HALF, "--tokenizer", "models/judge"),
    "select": _prune(*_LLM, "--ratio", "0.6", source=_ALL),
    "select-only": _prune(*_LLM, "--coarse", "select", "--coarse-only", "--price-in", "1", "--price-out", "10"),
    "rewrite": _prune(*_LLM, "--coarse", "rewrite", "--ratio", "0.6", source=_ALL),
    "select-replies": _prune(*_LLM, "--budget", "80", "--replies", "select", source=_ALL),
    **{f"method-{method}": _prune("--method", method, *_HALF) for method in STEP_METHODS},
    "method-original": _prune("--method", "original"),
    "method-random-seed": _prune("--method", "random", "--seed", "7", "--budget", "70"),
    "method-spirit-suffix": _prune("--method", "spirit", "--suffix-tokens", "10", *_HALF),
    "phrases": _inside("selective-context", "--phrases", "regex", *_HALF, source="in/code.jsonl"),
    "phrases-sentence": _inside("selective-context", "--unit", "sentence", *_HALF),
    "phrases-token": _inside("selective-context", "--unit", "token", "--budget", "60"),
    "words": _inside("llmlingua2", *_HALF, source=_ALL),
    "words-budget": _inside("llmlingua2", "--budget", "60", "--keep-digits"),
    "tokenskip": _inside("tokenskip", "--format", "trl", source=_ALL),
    "tokenskip-ratio": _inside("tokenskip", *_HALF, "--seed", "3", "--marker", "<{gamma}>"),
    "tokenskip-gammas": _inside("tokenskip", "--gammas", "0.9,0.3", "--marker", "none"),
    "chat-rows": _prune(*_HALF, "--method", "mean-surprisal", "--format", "trl", source="in/chat.jsonl"),
    "chat-rows-gz": _prune(*_HALF, "--method", "keep-head", source="in/chat.jsonl.gz"),
    "named-columns": _prune("--columns", "id=n,question=q,response=r", "--budget", "30", source="in/renamed.jsonl"),
    "parquet-rows": _prune(*_HALF, "--method", "longest-first", source="in/rows.parquet"),
    "two-sources": ["prune", "in/plain.jsonl", "in/code.jsonl", *_SCORER, *_HALF, "--limit", "3"],
    "shipped": _prune("--scorer", "shipped:logprobs", "--tokenizer", "models/scorer", *_HALF, source="in/shipped.jsonl"),
    "config-file": _prune("--config", "in/settings.yaml", "--ratio", "0.7"),
    "many-shapes": _prune(*_HALF, "--coarse", "none", "--format", "sharegpt", source="in/shapes.jsonl"),
    "select-local": _prune("--llm", "hf:models/judge", "--attempts", "1", *_HALF),
    "dry-run": _prune(*_HALF, "--dry-run"),
    "dry-run-llm": _prune(*_LLM, *_HALF, "--price-in", "1", "--price-out", "10", "--dry-run", source=_ALL),
    "too-many-rejected": _prune(*_HALF, "--method", "keep-head", "--max-rejected", "0"),
}

_CUT_TO = ("asap", "alignment", "mean-surprisal", "spirit", "random", "keep-head", "longest-first")
CUT = {
    "cut-ratio": ["cut", "asap-align", "--ratio", "0.3"],
    "cut-budget": ["cut", "asap-fine", "--budget", "50", "--format", "sharegpt"],
    "cut-keep-ends": ["cut", "asap-keep-ends", "--ratio", "0.8"],
    "cut-floor": ["cut", "asap-floor", "--ratio", "0.5"],
    "cut-backfill": ["cut", "asap-backfill", "--ratio", "0.3"],
    "cut-gap": ["cut", "asap-gap", "--ratio", "0.3"],
    "cut-select": ["cut", "select", "--ratio", "0.4"],
    "cut-rewrite": ["cut", "rewrite", "--ratio", "0.4"],
    "cut-phrases": ["cut", "phrases", "--ratio", "0.25"],
    "cut-words": ["cut", "words", "--budget", "40"],
    "cut-tokenskip": ["cut", "tokenskip-ratio", "--ratio", "0.7"],
    **{f"cut-to-{method}": ["cut", "asap-every-score", "--method", method, "--ratio", "0.4"] for method in _CUT_TO},
}

REVIEW = {
    "review": ["review", "asap-every-score"],
    "review-two": ["review", "asap-fine", "method-random"],
    "review-inside": ["review", "words", "--limit", "4"],
    "review-select": ["review", "select"],
    "review-cut": ["review", "cut-floor"],
}

_TRAIN = ["train", "asap-align", "--model", "hf:models/scorer", "--set", "max_length=1024"]
TRAIN = {
    **{f"train-{tool}": [*_TRAIN, "--emit-config", tool] for tool in ("trl", "axolotl", "llamafactory")},
    **{f"train-masked-{tool}": [*_TRAIN, "--mask-pruned", "--emit-config", tool] for tool in ("trl", "axolotl")},
}

_JUDGED = ["--benchmark", "humaneval:in/problems.jsonl", "--unsafe-no-sandbox", "--workers", "1"]
SCORE = {
    "score": ["score", "in/attempts.jsonl", *_JUDGED],
    "score-first-block": ["score", "in/attempts.jsonl", *_JUDGED, "--extract", "first", "--max-rejected", "0"],
}

_EVALUATE = ["evaluate", "--model", "openai:scripted", "--base-url", "{server}", "--concurrency", "1", *_JUDGED]
EVALUATE = {
    "evaluate": [*_EVALUATE, "--max-new-tokens", "64", "--tokenizer", "models/scorer", "--budgets", "4,16"],
    "evaluate-samples": [*_EVALUATE, "--max-new-tokens", "64", "--n", "2", "--temperature", "0.6"],
    "evaluate-gamma": [*_EVALUATE, "--max-new-tokens", "64", "--gamma", "0.5", "--limit", "2"],
    "evaluate-local": [
        *["evaluate", "--model", "hf:models/judge", *_CPU, "--benchmark", "humaneval:in/problems.jsonl"],
        *["--max-new-tokens", "12", "--concurrency", "1", "--limit", "2", "--generate-only"],
    ],
    "compare-runs": ["compare-runs", "evaluate", "evaluate-gamma", "--common"],
    "compare-scored": ["compare-runs", "score", "score-first-block"],
}

_JUDGE = ["--judge", "hf:models/judge"]
_METHODS = "asap,asap-fine,spirit,leave-one-out,selective-context,llmlingua2,random"
COMPARE = {
    "compare": _compare(*_JUDGE, "--ratios", "0.5", source=_ALL),
    "compare-methods": _compare(*_JUDGE, *_CLASSIFIER, "--ratios", "0.5", "--methods", _METHODS),
    "compare-keep-ends": _compare(
        *["--ratios", "0.6,0.3", "--methods", "asap,random", "--coarse", "none", "--keep-last", "1", "--seed", "5", "--strip", "both"]
    ),
    "compare-generate": _compare(
        "--ratios", "0.5", "--methods", "asap,random", "--generate", "8", "--tests", "in/code.jsonl", source="in/code.jsonl"
    ),
}

_TRAINED = [word for value in ("max_steps=2", "use_peft=false", "effective_batch_size=2", "use_cpu=true") for word in ("--set", value)]
OTHER = {
    "train": ["train", "in/few.jsonl", "--model", "hf:models/scorer", "--set", "max_length=1024", *_TRAINED],
    "report": ["report", "in/arm-whole", "in/arm-half"],
    "report-runs": [
        *["report", "original=score", "asap=score-first-block", "original=in/arm-whole", "asap=in/arm-half"],
        *["--paper", "table1", "--title", "Two rules"],
    ],
    "doctor": ["doctor", "in/rows.jsonl", "--scorer", "hf:models/scorer"],
    "doctor-chat": ["doctor", "in/chat.jsonl", "--scorer", "hf:models/short", "--tokenizer", "models/judge"],
}

COMMANDS: dict[str, list[str]] = {**PRUNE, **CUT, **REVIEW, **TRAIN, **SCORE, **EVALUATE, **COMPARE, **OTHER}


def words_of(name: str, server: str) -> list[str]:
    """The words of a run; whatever it writes goes into the folder of its name."""
    words = [word.format(server=server) if word == "{server}" else word for word in COMMANDS[name]]
    if "--dry-run" in words or words[0] == "doctor":
        return words
    file = {"review": "review.html", "compare-runs": "compared.json"}.get(words[0])
    return [*words, "--out", f"{name}/{file}" if file else name]
