"""What the rows of a data set are like, in one pass: memory does not grow with the texts (see `tally`)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from asap.dataset import Shaped, iter_shaped
from asap.doctor.finding import Bin, DataReport, Finding
from asap.doctor.rulers import load_rulers
from asap.doctor.tally import Lengths, Place, Seen, Tally
from asap.errors import InputError, MissingExtra, RowError
from asap.prune.settings import AsapSettings

_THINK_TAGS = {"no_think": "without any", "unclosed_think": "unclosed", "empty_think": "empty"}
_DAMAGED = "the file is damaged there: write the line again as one JSON object in UTF-8"
_ADVICE = {
    "no_think": "they hold no reasoning to shorten: leave them out, or name the trace's column with --columns",
    "unclosed_think": "they have no closing </think>, cut by a token limit: generate them again with more tokens",
    "empty_think": "the model did not think there, so there is nothing to shorten: leave them out",
    "text_before_think": "something stands before the opening tag: move it into the system message or take it away",
    "think_in_answer": "a closing think tag stands in the answer: take it out of the answer",
    "two_traces": "the trace stands beside the content and inside it: keep one of the two",
    "empty_question": "a question is needed: check the column with --columns question=...",
    "empty_answer": "the answer is missing, perhaps cut by a token limit: generate them again with more tokens",
    "multi_turn": "ASAP prunes one question with one answer: split longer conversations into rows",
    "unknown_shape": "name the columns: --columns question=...,response=... (or cot=...,answer=...)",
    "missing_column": "check the names given with --columns",
    "template_failed": "the scorer's chat template refuses them, often because of a system message: try --context raw",
    "lone_surrogate": "the text was cut in the middle of a character: clean it before use",
    "bad_json": _DAMAGED,
    "bad_utf8": _DAMAGED,
    "not_an_object": _DAMAGED,
}
_REJECTS = "`asap prune` lists the rejected rows in rejected.jsonl and goes on with the others"
_LONGEST_DETAIL = 160
_BATCH = 32  # rows that are tokenised side by side


def check_data(
    sources: Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    hub_config: str | None = None,
    hub_split: str | None = None,
    scorer: str = "bundled",
    tokenizer: str | None = None,
    limit: int | None = None,
) -> DataReport:
    """The findings about the first `limit` rows of the sources (None: all). A source that cannot be read is a finding."""
    rulers, problems = load_rulers(scorer, tokenizer)
    tally = Tally(rulers)
    batch: list[tuple[Place, Shaped]] = []
    for place, result in islice(_rows(sources, columns, hub_config, hub_split, problems), limit):
        if isinstance(result, RowError):
            tally.reject(place, result)
        else:
            batch.append((place, result))
        if len(batch) == _BATCH:
            tally.add(batch)
            batch.clear()
    tally.add(batch)
    findings = [*problems, _rows_found(tally, len(sources), limit), *_rejected(tally)]
    if tally.usable:
        findings += [_shapes(tally), *_texts(tally), *_repeats(tally), *_lengths(tally)]
    return DataReport(findings, _histogram(tally.tokens))


def _rows(
    sources: Sequence[str], columns: Mapping[str, str] | None, config: str | None, split: str | None, problems: list[Finding]
) -> Iterator[tuple[Place, Shaped | RowError]]:
    for source in sources:
        rows = iter_shaped([source], columns=columns, hub_config=config, hub_split=split)
        try:
            for name, line, result in rows:
                yield Place(name, line), result
        except (InputError, MissingExtra) as error:
            problems.append(Finding("source", "fail", str(error), "`asap prune` stops here: correct this first"))


def _rows_found(tally: Tally, sources: int, limit: int | None) -> Finding:
    total = tally.usable + tally.bad
    found = f"{_rows_of(total)} in {sources} source{'s' * (sources != 1)}"
    found += " (as many as --limit allows)" if total == limit else ""
    if not tally.usable:
        return Finding("rows", "fail", f"{found}, none usable", "there is nothing to prune: the next lines say what is wrong")
    if tally.bad:
        return Finding("rows", "warn", f"{found}, {tally.usable:,} usable, {tally.bad:,} rejected", _REJECTS)
    return Finding("rows", "ok", f"{found}, all usable")


def _shapes(tally: Tally) -> Finding:
    found = ", ".join(f"{shape} ({_rows_of(count)})" for shape, count in tally.shapes.most_common())
    if len(tally.shapes) > 1:
        return Finding("shape", "warn", found, "the rows differ in shape: make sure that they belong together")
    return Finding("shape", "ok", found)


def _rejected(tally: Tally) -> Iterator[Finding]:
    """The state of the think tags, then one finding per reason for a rejection, the most frequent first."""
    tags = [f"{tally.rejected[reason].count:,} {name}" for reason, name in _THINK_TAGS.items() if reason in tally.rejected]
    if tally.several_tags.count:
        advice = "with several tags the trace runs from the first opening to the last closing one: look at such a row"
        tags.append(f"{tally.several_tags.count:,} with several, first {tally.several_tags.first}")
        yield Finding("think tags", "warn", f"rows: {', '.join(tags)}", advice)
    elif tags:
        yield Finding("think tags", "warn", f"rows: {', '.join(tags)}", "the next lines say what to do about each")
    elif tally.usable:
        yield Finding("think tags", "ok", "one complete think part in every usable row")
    for reason, seen in sorted(tally.rejected.items(), key=lambda item: -item[1].count):
        detail = seen.detail if len(seen.detail) <= _LONGEST_DETAIL else f"{seen.detail[: _LONGEST_DETAIL - 1]}…"
        advice = _ADVICE.get(reason, "correct these rows, or leave them out")
        yield Finding(reason, "warn", f"{_some(seen)}: {detail}", advice)


def _texts(tally: Tally) -> Iterator[Finding]:
    if tally.no_code.count in (0, tally.usable):
        found = "every answer has a code block" if not tally.no_code.count else "no answer has a code block (as it should be for maths)"
        yield Finding("code blocks", "ok", found)
    else:
        advice = "if these are code tasks, look at them: an answer without a code block scores as wrong in most benchmarks"
        yield Finding("code blocks", "warn", _some(tally.no_code, "without a code block in the answer"), advice)
    if tally.open_fence.count:
        advice = "these answers were cut by a token limit or are badly formed: leave them out or generate them again"
        yield Finding("code fences", "warn", _some(tally.open_fence, "with a code fence that the answer never closes"), advice)


def _repeats(tally: Tally) -> Iterator[Finding]:
    rows, ids, questions = tally.repeats.rows(), tally.repeats.ids(), tally.repeats.questions()
    if rows.count:
        advice = "the same question, trace and answer stood earlier: leave the copies out, they count twice in training"
        yield Finding("copies", "warn", _some(rows, "copied from an earlier row"), advice)
    if ids.count:
        advice = "one id stands for different rows: give every row an id of its own, or leave the id column out"
        yield Finding("ids", "warn", _some(ids, "with the id of a different row"), advice)
    if questions.count:
        advice = "fine where a question was sampled several times; keep its rows on one side of a train/test split"
        yield Finding("questions", "ok", _some(questions, "with the question of an earlier row"), advice)
    if not (rows.count or ids.count or questions.count):
        yield Finding("copies", "ok", "no row, id or question is repeated")


def _lengths(tally: Tally) -> Iterator[Finding]:
    yield Finding("trace tokens", "ok", f"{_spread(tally.tokens)} ({tally.rulers.trace.name})")
    budget = AsapSettings().budget
    if budget is not None:
        under = tally.tokens.up_to(budget)
        found = f"{_share(under, tally.usable)} already within the default budget of {budget:,} tokens"
        advice = "the budget leaves them as they are: use a smaller --budget, or --ratio 0.5, to shorten them as well"
        yield Finding("budget", "warn", found, advice) if 2 * under > tally.usable else Finding("budget", "ok", found)
    limit = tally.rulers.context_tokens
    if limit is None:
        found = "not checked: how much the scorer reads at once is not known"
        yield Finding(
            "scorer context", "warn", found, "its configuration names no limit, or it could not be read (then a line above says why)"
        )
    elif tally.beyond_context.count:
        advice = "they are scored in overlapping windows, where a step sees only what is near; a scorer with a longer context avoids it"
        found = _some(tally.beyond_context, f"longer than the {limit:,} tokens that the scorer reads at once")
        yield Finding("scorer context", "warn", found, advice)
    else:
        yield Finding("scorer context", "ok", f"every row fits into the {limit:,} tokens that the scorer reads at once")
    if tally.one_step.count:
        advice = "a trace of one step cannot be pruned: steps are separated by blank lines, and these have none"
        yield Finding("steps", "warn", f"{_spread(tally.steps)}; {_some(tally.one_step, 'of one step')}", advice)
    else:
        yield Finding("steps", "ok", _spread(tally.steps))


def _histogram(lengths: Lengths) -> list[Bin]:
    """Bins from one power of two to the next, without gaps."""
    exponents = [max(1, value).bit_length() - 1 for value in lengths.counts]
    edges = [1 << exponent for exponent in range(min(exponents), max(exponents) + 1)] if exponents else []
    return [Bin(low, 2 * low - 1, lengths.up_to(2 * low - 1) - (lengths.up_to(low - 1) if low > 1 else 0)) for low in edges]


def _spread(lengths: Lengths) -> str:
    return f"median {lengths.quantile(0.5):,}, p90 {lengths.quantile(0.9):,}, max {lengths.quantile(1):,}"


def _some(seen: Seen, what: str = "") -> str:
    return f"{_rows_of(seen.count)}{' ' * bool(what)}{what}, first {seen.first}"


def _rows_of(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _share(count: int, total: int) -> str:
    return f"{count:,} of {_rows_of(total)} ({count / total:.0%})"
