"""`asap cut`: a finished run at another budget or by another method, from its stored scores and without a model."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from asap.errors import InputError, UsageError
from asap.lm.specs import load_tokens
from asap.lm.tokens import TokenCounter
from asap.output import Files, claim_files, write_output
from asap.ownership import same_file
from asap.prune.fine.removal import check_budget
from asap.prune.methods import TOKEN_LEVEL, check_method
from asap.prune.settings import OF_METHODS
from asap.prune.settle import settled_by
from asap.rulings import check_rulings, overruled_by, read_rulings, rulings_as_rows, rulings_digest, rulings_with
from asap.store.claim import check_settings
from asap.store.unfinished import gone_if_failed, unfinished
from asap.store.work import FILE, Store
from asap.totals import Totals


def recut(
    folder: Path,
    out: Path,
    *,
    budget: int | None = None,
    ratio: float | None = None,
    method: str | None = None,
    files: Files | None = None,
    copy: bool = False,
    overrule: Path | None = None,
) -> Totals:
    """Write the finished run of `folder` at another budget, by another step-level method, or overruled, to `out`, without a model.

    At another budget the files are those of a fresh run. Another method runs without stage 1, by default at the budget or ratio of
    the run, and needs the scores that `--scores` stored unless it is a control (random, keep-head, …). `overrule` is a file of rulings
    (`asap.rulings`); alone, all else is as in the run. `out` refers to the rows and scores of `folder` unless they are copied, as they
    also are where `out` had its own before.
    """
    check_budget(budget=budget, ratio=ratio)
    given = read_rulings(overrule) if overrule else {}
    if method is None and not overrule:
        _length({}, budget, ratio)
    if same_file(out, folder):
        raise UsageError(f"the cut cannot be written into {folder} itself; choose another --out")
    if method is not None:
        check_method(method)
    with Store.reading(folder) as store:
        stored, missing = store.fact("settings"), store.missing()
        if stored is None or not missing.rows or missing.rows_missing:
            raise unfinished(store)
        check_settings(folder / FILE, stored)
        settings = _settings(folder, stored, budget, ratio, method)
        rulings = rulings_with(store.fact("rulings"), given, folder)
        settings |= {"overrule": rulings_digest(rulings)} if rulings else {}
        tokens = cache(lambda: tokens_of(settings))
        settle = settled_by(settings, tokens)
        next((entry for entry in store.entries() if entry.decision), None)  # an unreadable decision raises before `out` is created
        if same_file(out, store.root):
            raise UsageError(f"{folder} is itself a cut of {out}; choose another --out")
        dropped = check_rulings(rulings, store, settle)
        with Store.open(out, follow=False) as other, gone_if_failed(other):
            other.claim(settings, OF_METHODS)
            claim_files(other, files)
            copy = copy or (other.root == out and not other.is_untouched())  # it has its own, and may be needed when the run is gone
            other.refer_to(store)
            if rulings or store.fact("rulings"):
                other.set_fact("rulings", rulings_as_rows(rulings))
            other.follow()
            if copy:
                other.own()
            decide = overruled_by(rulings, dropped, settle, tokens) if rulings else settle
            return write_output(other, settings, seconds={}, settle=decide, files=files)


def _settings(folder: Path, run: Mapping[str, Any], budget: int | None, ratio: float | None, method: str | None) -> dict[str, Any]:
    """The settings of a cut, without rulings: those of its run but for what is given."""
    stored = {name: value for name, value in run.items() if name != "overrule"}
    if budget is None and ratio is None and method is None:
        return stored
    budget, ratio = _length(stored, budget, ratio)
    settings = {**stored, "budget": budget, "ratio": ratio, "coarse_only": False, "support_floor": None}
    if method is not None and method != stored["method"]:
        if method in TOKEN_LEVEL:
            raise InputError(f"{folder} holds steps, and {method} cuts inside of them; run asap prune --method {method} first")
        settings = {name: value for name, value in settings.items() if name not in OF_METHODS}
        settings |= {"method": method, "coarse": "none", "align_prompt_hash": None, "llm": None, "llm_prompts_hash": None}
    if settings["method"] == "tokenskip" and budget is not None:
        raise UsageError("tokenskip tells each row's ratio in its question, so it is cut to a --ratio, not to a budget")
    return settings


def _length(run: Mapping[str, Any], budget: int | None, ratio: float | None) -> tuple[int | None, float | None]:
    """The budget and the ratio of a cut, by default those of its run. Raises UsageError if there is neither."""
    if budget is None and ratio is None:
        budget, ratio = run.get("budget"), run.get("ratio")
    if budget is None and ratio is None:
        raise UsageError("a cut needs a budget (tokens) or a ratio (share of the original tokens)")
    return budget, ratio


def tokens_of(settings: Mapping[str, Any]) -> TokenCounter:
    """The tokenizer that counted a run's budget."""
    tokens = load_tokens(settings["tokenizer_name"])
    if tokens.fingerprint != settings["tokenizer"]:
        raise InputError(
            f"{tokens.name} is not the tokenizer that the run was made with (it is {tokens.fingerprint}, the run has "
            f"{settings['tokenizer']}), and --backfill, --method, --overrule and what cuts inside steps need it"
        )
    return tokens
