"""The options of commands that a table's file may hold."""

from collections.abc import Mapping

_READ = (
    *("columns", "subset", "split", "limit", "where", "each-generation", "only-passing", "gold-rule", "think-tags", "drop-system"),
    *("keep-columns", "max-trace-tokens", "reject-loops"),
)
_DECIDE = ("method", "budget", "ratio", "coarse", "coarse-only", "scores", "seed", "backfill", "step-split", "context", "dtype", "devices")
_STAGE_1 = ("llm", "base-url", "llm-context", "llm-tokenizer", "temperature", "tau", "attempts", "concurrency", "price-in", "price-out")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "data": _READ,
    "prune": (*_DECIDE, *_STAGE_1, "max-cost", "batch", "suffix-tokens", "classifier"),
    "cut": ("method", "budget", "ratio"),
    "train": ("recipe", "set", "launch", "backend"),
    "evaluate": (
        *("benchmark", "max-new-tokens", "budgets", "limit", "n", "temperature", "top-p", "gamma", "concurrency", "dtype", "device"),
        *("base-url", "packages", "workers"),
    ),
}
"""The options that each kind of stage takes from a file, by the names that the command has for them."""
