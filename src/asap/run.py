"""A whole run: read the sources, decide about each row that is missing, write the output folder.

Reading comes first and is cheap: it finds broken archives before hours of scoring, and gives the totals for the time left.
Each decision is stored as soon as it is made, so a run killed at any moment goes on where it was.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset import Shaped, iter_shaped
from asap.errors import InputError, RowError, UsageError
from asap.estimate import Estimate, estimate
from asap.lm.chat import Completer
from asap.lm.context import template_hash
from asap.lm.price import Purse
from asap.lm.replies import FILE as REPLIES
from asap.lm.replies import Replies
from asap.lm.tokens import TokenCounter
from asap.output import Totals, write_output
from asap.prune.align import align_prompt
from asap.prune.asap import Asap
from asap.prune.coarse import Guide, Verdict, prompts_hash
from asap.prune.decision import Decision
from asap.prune.fine import backfilled, check_budget, cut, token_budget
from asap.prune.methods import METHODS, Size
from asap.prune.reading import tokens_read
from asap.prune.reorder import reordered
from asap.prune.settings import INSIDE, AsapSettings
from asap.prune.token_level import TOKEN_LEVEL, settled
from asap.sample import Sample, content_digest
from asap.steps import split_steps
from asap.store import Store

_BATCH_ON_GPU = 16
_BATCH_OF_ROWS = 64
_CUT_SETTINGS = ("budget", "ratio", "coarse_only", "backfill")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows come from: files, folders or Hub ids, and how to read them."""

    names: Sequence[str]
    columns: Mapping[str, str] = field(default_factory=dict)
    hub_config: str | None = None
    hub_split: str | None = None
    limit: int | None = None
    """Read only so many rows."""

    def rows(self) -> Iterator[tuple[str, int, Shaped | RowError]]:
        """Each row with its source and line, all of them."""
        return iter_shaped(self.names, columns=self.columns or None, hub_config=self.hub_config, hub_split=self.hub_split)

    def as_settings(self) -> dict[str, Any]:
        """What must not change between two runs into one folder; a run may be continued with another limit."""
        return {
            "sources": [_printable(name) for name in self.names],
            "columns": dict(self.columns),
            "hub_config": self.hub_config,
            "hub_split": self.hub_split,
        }


class Step(NamedTuple):
    """One piece of progress: rows and stored bytes just done, and the tokens before and after of those that worked."""

    rows: int
    size: int
    tokens_before: int
    tokens_after: int


class Asked(NamedTuple):
    """What stage 1's LLM has answered and cost up to now: rows done, those that fell back, requests sent, tokens, dollars.

    Requests, tokens and dollars (None: no price is known) are the folder's, former runs included.
    """

    rows: int
    fallbacks: int
    requests: int
    tokens: int
    cost: float | None


class Listener:
    """What a run tells whoever watches; the methods do nothing here."""

    def first_row(self, shaped: Shaped) -> None:
        """The first usable row was read."""

    def reading(self, rows: int) -> None:
        """So many rows were read up to now."""

    def estimated(self, estimate: Estimate, purse: Purse) -> None:
        """What the LLM would still cost."""

    def asking(self, rows: int) -> None:
        """Stage 1's LLM is asked about so many rows now."""

    def asked(self, asked: Asked) -> None:
        """The LLM is done with one more row."""

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        """Reading is over: so many distinct usable rows, and so much of it is not decided yet."""

    def decided(self, step: Step) -> None:
        """Some rows were decided and stored."""

    def writing(self) -> None:
        """All rows are decided; the files are written now."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a run goes about asking stage 1's LLM."""

    purse: Purse
    replies_from: Sequence[Path] = ()
    """Folders whose replies are used instead of asking again."""
    pilot: int | None = None
    """Ask about so many rows before the cost of the others is estimated."""


def prune_into(
    folder: Path,
    source: Source,
    pruner: Asap,
    *,
    formats: Sequence[str] = (),
    listener: Listener | None = None,
    asking: Asking | None = None,
) -> Totals:
    """Prune all rows of the source into a folder, or do what is missing there, and write its files.

    Raises InputError if the folder holds a run with other settings, or if no row is usable.
    """
    listener = listener or Listener()
    settings = run_settings(source, pruner)
    with Store.open(folder) as store:
        settings = _claim(store, settings)
        started = time.perf_counter()
        read_into(store, source, listener)
        read_s = time.perf_counter() - started
        missing = store.missing()
        if missing.rows:
            with _guided(store, pruner, asking or Asking(Purse(None)), listener):
                listener.scoring(*missing)
                _decide_missing(store, pruner, listener)
        listener.writing()
        seconds = {"read": read_s, **({"ask": store.fact("ask_s") or 0.0} if pruner.guide else {}), "score": store.fact("score_s") or 0.0}
        totals = write_output(store, settings, seconds=seconds, formats=formats, recut=_settled(settings, lambda: pruner.tokens))
    if totals.rejected == totals.rows:
        raise InputError(f"{no_usable_row(source, totals.rejected_by)}; see {folder}/rejected.jsonl")
    return totals


@contextmanager
def _guided(store: Store, pruner: Asap, asking: Asking, listener: Listener) -> Iterator[None]:
    """Ask stage 1's LLM, if there is one, about every row without a decision; inside the block its replies are at hand."""
    if pruner.guide is None:
        yield
        return
    with pruner.guide.keeping(store.folder, asking.replies_from) as replies:
        started = time.perf_counter()
        ask_missing(store, pruner.guide, replies, asking, listener)
        store.set_fact("ask_s", (store.fact("ask_s") or 0.0) + time.perf_counter() - started)
        usage = {kind: used._asdict() for kind, used in replies.usage().items()}
        cost = round(asking.purse.spent, 6) if asking.purse.price else None
        identity, before = pruner.guide.llm.identity, store.fact("llm") or {}
        if before.get("model") == identity["model"]:  # what a server told about itself, if this run had nothing to ask
            identity = {**before, **identity}
        store.set_fact("llm", {**identity, "usage": usage, "cost_usd": cost})
        yield


def ask_missing(store: Store, guide: Guide, replies: Replies, asking: Asking, listener: Listener, *, only_pilot: bool = False) -> Estimate:
    """Ask about the pilot's rows, estimate what the others will cost, and ask about them too (not with `only_pilot`)."""
    purse, progress = asking.purse, Counter[str]()
    if (batches := replies.batches()) and not hasattr(guide.llm, "take_up"):
        raise InputError(
            f"batch {next(iter(batches))} of a former run into {store.folder} is paid for and not collected; add --batch to wait for it"
        )
    for used in replies.usage().values():  # what former runs into this folder paid counts against the limits
        purse.begin(used.replies, used.prompt_tokens, used.completion_tokens)

    def samples(limit: int | None = None) -> Iterator[Sample]:
        return islice(_distinct(sample for batch in store.batches(_BATCH_OF_ROWS) for sample, _ in batch), limit)

    def done(sample: Sample, verdict: Verdict) -> None:
        progress.update(rows=1, fallbacks=verdict.kept is None)
        tokens, cost = purse.prompt_tokens + purse.completion_tokens, purse.spent if purse.price else None
        listener.asked(Asked(progress["rows"], progress["fallbacks"], purse.requests, tokens, cost))

    def ask(limit: int | None = None) -> None:
        guide.ask_all(samples(limit), done)

    if asking.pilot:
        listener.asking(min(asking.pilot, store.missing().rows_missing))
        ask(asking.pilot)
    expected = estimate(samples(), guide, replies.usage())
    listener.estimated(expected, purse)
    if not only_pilot:
        listener.asking(store.missing().rows_missing)
        progress.clear()
        ask()
    return expected


def _distinct(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The samples without those that are equal to an earlier one."""
    seen = set[str]()
    for sample in samples:
        if (digest := sample.digest()) not in seen:
            seen.add(digest)
            yield sample


def no_usable_row(source: Source, rejected_by: Mapping[str, int]) -> str:
    """The sentence about a source of which every row was rejected."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected_by.items())
    return f"no usable row in {', '.join(source.names)}: {sum(rejected_by.values())} rejected ({reasons or 'no rows'})"


def read_into(store: Store, source: Source, listener: Listener) -> None:
    """Read the source into the store, in one transaction: until it is complete the former order of the input stands."""
    shown = False
    with store.transaction():
        store.clear_input()
        for position, (name, line, result) in enumerate(islice(source.rows(), source.limit)):
            name = _printable(name)
            if isinstance(result, RowError):
                store.add_rejected(position, name, line, result)
            else:
                store.add_sample(position, name, line, result.sample)
                if not shown:
                    listener.first_row(result)
                    shown = True
            listener.reading(position + 1)


def recut(
    folder: Path,
    out: Path,
    *,
    budget: int | None = None,
    ratio: float | None = None,
    method: str | None = None,
    formats: Sequence[str] = (),
) -> Totals:
    """The finished run of `folder` at another budget, or by another step-level method, written to `out`; without a model.

    At another budget the files are those of a fresh run. Another method needs no stored scores (random, keep-head, …) or
    those of `--scores`; it has no stage 1.
    """
    check_budget(budget=budget, ratio=ratio)
    if budget is None and ratio is None:
        raise UsageError("a cut needs a budget (tokens) or a ratio (share of the original tokens)")
    if out.resolve() == folder.resolve():
        raise UsageError(f"the cut cannot be written into {folder} itself; choose another --out")
    if method is not None and method not in [*METHODS, *TOKEN_LEVEL]:
        raise UsageError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    with Store.open(folder, create=False) as store:
        stored, missing = store.fact("settings"), store.missing()
        if stored is None or not missing.rows or missing.rows_missing:
            raise InputError(f"{folder} holds an unfinished run; run the same asap prune again to finish it")
        settings = {**stored, "budget": budget, "ratio": ratio, "coarse_only": False, "support_floor": None}
        if method is not None and method != stored["method"]:
            if method in TOKEN_LEVEL:
                raise InputError(f"{folder} holds steps, and {method} cuts inside of them; run asap prune --method {method} first")
            settings = {name: value for name, value in settings.items() if name not in INSIDE}
            settings |= {"method": method, "coarse": "none", "align_prompt_hash": None, "llm": None, "llm_prompts_hash": None}
        if settings["method"] == "tokenskip" and budget is not None:
            raise UsageError("tokenskip tells each row's ratio in its question, so it is cut to a --ratio, not to a budget")
        next((entry for entry in store.entries() if entry.decision), None)  # one of another version is told before `out` is made
        with Store.open(out) as other:
            _claim(other, settings)
            store.copy_to(other, {"settings": settings})
    with Store.open(out, create=False) as store:
        return write_output(store, settings, seconds={}, formats=formats, recut=_settled(settings, partial(_tokens_of, settings)))


def _settled(settings: Mapping[str, Any], load_tokens: Callable[[], TokenCounter]) -> Callable[[Decision, Sample], Decision]:
    """What makes of a stored decision, whatever it was cut to and by which method it was made, the one that the settings ask for."""
    tokens = cache(load_tokens)
    as_it_is = settings["coarse_only"] or settings["method"] == "original"
    limit = {"budget": None, "ratio": None} if as_it_is else {"budget": settings["budget"], "ratio": settings["ratio"]}

    def settle(decision: Decision, sample: Sample) -> Decision:
        if settings["method"] in TOKEN_LEVEL:
            draw = {name: settings[name] for name in ("seed", "gammas")}
            return settled(decision, sample, tokens, **limit, **draw)
        if settings.get("support_floor") is None and decision.floor is not None:
            decision = decision.without_floor()
        if decision.method != settings["method"]:
            keep = {name: settings[name] for name in ("seed", "keep_first", "keep_last")}
            decision = reordered(decision, sample, settings["method"], tokens(), **keep)
        elif decision.floor is not None or decision.budget == token_budget(decision.tokens_before, **limit):
            return decision
        again = cut(decision, **limit)
        return backfilled(again, sample.cot, tokens()) if settings["backfill"] else again

    return settle


def _tokens_of(settings: Mapping[str, Any]) -> TokenCounter:
    """The tokenizer that a run counted its budget with."""
    from asap.lm import load_tokens

    tokens = load_tokens(settings["tokenizer_name"])
    if tokens.fingerprint != settings["tokenizer"]:
        raise InputError(
            f"{tokens.name} is not the tokenizer that the run was made with (it is {tokens.fingerprint}, the run has "
            f"{settings['tokenizer']}), and --backfill, --method and what cuts inside steps need it"
        )
    return tokens


def run_settings(source: Source, pruner: Asap) -> dict[str, Any]:
    """All that decides what comes out, by name; JSON-able. Two runs with equal settings and rows give equal files."""
    from asap import __version__

    return {
        "asap": __version__,
        "method": pruner.method,
        **pruner.settings.stored(),
        **(pruner.token_level.identity if pruner.token_level else {}),
        **source.as_settings(),
        "context": pruner.context,
        "template_hash": template_hash(pruner.scorer.tokens, pruner.context),
        "align_prompt_hash": content_digest(align_prompt())[:16] if pruner.settings.coarse != "none" else None,
        "llm": pruner.guide.llm.model if pruner.guide else None,
        "llm_prompts_hash": prompts_hash(pruner.settings.coarse) if pruner.guide else None,
        "scorer": pruner.scorer.identity,
        "scorer_context_tokens": pruner.scorer.context_tokens,
        "tokenizer": pruner.tokens.fingerprint,
        "tokenizer_name": pruner.tokens.name,
    }


def _claim(store: Store, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Mark the folder as this run's and return the settings as they are stored; refuse a folder of another run and name what differs.

    A folder in which nothing was decided yet, say after a typing error in the source, is anyone's.
    """
    if store.is_untouched():
        store.set_fact("settings", settings)
    stored: dict[str, Any] = store.fact("settings") or {}
    names = sorted({*stored, *settings})
    differing = [name for name in names if stored.get(name) != settings.get(name)]
    if not differing:
        return stored
    shown = "; ".join(f"{name} is {stored.get(name)!r} there and {settings.get(name)!r} here" for name in differing)
    advice = "choose another --out"
    if stored.get("llm") and stored.get("llm") == settings.get("llm"):
        advice += f" (with --replies {store.folder} no reply is paid for twice)"
    if set(differing) <= set(_CUT_SETTINGS):
        advice += ", or re-cut it in a moment: asap cut " + str(store.folder) + " --budget N --out OTHER"
    raise InputError(f"{store.folder} holds a run with other settings: {shown}; {advice}")


def _printable(name: str) -> str:
    """A file name need not be UTF-8; what is written about it has to be."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _decide_missing(store: Store, pruner: Asap, listener: Listener) -> None:
    size = 1 if getattr(pruner.scorer, "batch_tokens", 0) == 0 else _BATCH_ON_GPU
    for batch in store.batches(size):
        started = time.perf_counter()
        samples = [sample for sample, _ in batch]
        decisions = pruner.decide(samples)
        each = (time.perf_counter() - started) / len(samples)
        with store.transaction():
            for sample, decision in zip(samples, decisions, strict=True):
                store.decide(sample, decision, each)
            store.set_fact("score_s", (store.fact("score_s") or 0.0) + time.perf_counter() - started)
        worked = [decision for decision in decisions if isinstance(decision, Decision)]
        before, after = sum(done.tokens_before for done in worked), sum(done.tokens_after for done in worked)
        listener.decided(Step(len(batch), sum(size for _, size in batch), before, after))


class Survey(NamedTuple):
    """What a run would have to do; `tokens_read` is an estimate."""

    rows: int
    usable: int
    rejected: int
    rejected_by: dict[str, int]
    tokens: int
    longest: int
    tokens_read: int
    over_budget: int


def survey(
    scratch: Path,
    source: Source,
    settings: AsapSettings,
    tokens: TokenCounter,
    listener: Listener,
    asks: tuple[Completer, Asking, Path | None] | None = None,
) -> Survey:
    """Read everything into a scratch folder and count, without a scorer: `asap prune --dry-run`.

    `asks` is stage 1's LLM, and the folder whose replies count as there already: what it will cost is told to the listener.
    """
    rejected, lengths, read, over = Counter[str](), list[int](), 0.0, 0
    with Store.open(scratch) as store:
        read_into(store, source, listener)
        for sample, error in store.rows():
            if sample is None:
                rejected[error or ""] += 1
                continue
            length = tokens.count(sample.cot)
            lengths.append(length)
            size = Size(max(1, len(split_steps(sample.cot, settings.step_split))), length, tokens.count(sample.answer))
            fits = length <= (token_budget(length, budget=settings.budget, ratio=settings.ratio) or length)
            read += tokens_read(settings, size, fits=fits)
            over += not fits
        if asks and lengths:
            llm, asking, folder = asks
            guide = Guide(llm, settings)
            keeps = folder is not None and (asking.pilot or (folder / REPLIES).is_file())
            with guide.keeping(folder if folder and keeps else scratch, asking.replies_from) as replies:
                ask_missing(store, guide, replies, asking, listener, only_pilot=True)
    return Survey(
        rows=len(lengths) + rejected.total(),
        usable=len(lengths),
        rejected=rejected.total(),
        rejected_by=dict(sorted(rejected.items())),
        tokens=sum(lengths),
        longest=max(lengths, default=0),
        tokens_read=round(read),
        over_budget=over,
    )
