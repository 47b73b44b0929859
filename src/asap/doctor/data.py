"""The findings about a data set, and a histogram of its lengths."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten

import numpy as np

from asap.dataset import Shaped
from asap.dataset.row_rules import DEFAULT_RULES, RowRules
from asap.dataset.source import Source
from asap.doctor.finding import Bin, DataDiagnosis, Finding
from asap.doctor.tokenizers import Tokenizers, load_tokenizers
from asap.errors import AsapError, InputError, RowError
from asap.lm.scorer import Scorer
from asap.prune.coarse.align import Align, most_unaligned
from asap.prune.settings import BUDGET
from asap.survey import LONG_STEP, Cases, Place, Survey
from asap.tables import number_of

_THINK_TAGS = {"no_think": "without any", "unclosed_think": "unclosed", "empty_think": "empty"}
_DAMAGED = "the file is damaged there: write the line again as one JSON object in UTF-8"
_ADVICE = {
    "no_think": "they hold no reasoning to shorten: leave them out, or name the trace with --columns or its tags with --think-tags",
    "unclosed_think": "their thinking is never closed, cut by a token limit: generate them again with more tokens",
    "empty_think": "the model did not think there, so there is nothing to shorten: leave them out",
    "text_before_think": "something stands before the opening tag: move it into the system message or take it away",
    "think_in_answer": "a closing think tag stands in the answer: take it out of the answer",
    "think_in_trace": "a closing think tag stands in the trace, beside a code fence that is never closed: close the fence",
    "two_traces": "there are two traces, in two columns, or beside the content and inside it: keep one, or name it with --columns",
    "two_answers": "several columns may be the answer: name one with --columns",
    "two_questions": "several columns may be the question: name one with --columns",
    "several_generations": "make a row of each generation: --each-generation",
    "empty_question": "a question is needed: check the column with --columns question=...",
    "empty_answer": "the answer is missing, perhaps cut by a token limit: generate them again with more tokens",
    "unknown_shape": "name the columns: --columns question=...,response=... (or cot=...,answer=...)",
    "lacks_column": "they lack the column that --where names, so they are not chosen",
    "missing_column": "check the names given with --columns",
    "no_logprobs": "check the columns named with --scorer shipped:..., or score with a model",
    "logprobs_of_other_text": "the text was changed after it was written, or --tokenizer is another model's: score these with a model",
    "template_failed": "the scorer's chat template refuses them, often because of a system message: try --context raw",
    "looping": "the model repeated itself until its tokens ran out: leave them out, or generate them again",
    "lone_surrogate": "the text was cut in the middle of a character: clean it before use",
    "bad_json": _DAMAGED,
    "bad_utf8": _DAMAGED,
    "not_an_object": _DAMAGED,
}
_ORDERED = (
    "write the tags that the prompt orders (--write-tags keep, or a name in docs/thinking.md), or leave system messages out "
    "(--drop-system): else the model learns to do otherwise than it is told"
)
_REJECTS = "`asap prune` lists the rejected rows in rejected.jsonl and goes on with the others"
_LONGEST_DETAIL = 160
_LINE_TOKENS = 100  # of a line in the mean; longer ones are paragraphs, which are split into sentences


def check_data(
    sources: Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    rules: RowRules = DEFAULT_RULES,
    hub_config: str | None = None,
    hub_split: str | None = None,
    scorer: str = "bundled",
    tokenizer: str | None = None,
    served: Scorer | None = None,
    limit: int | None = None,
) -> DataDiagnosis:
    """The findings about the first `limit` rows of the sources (None: all). A source that cannot be read is a finding."""
    tokenizers, problems = load_tokenizers(scorer, tokenizer, served)
    survey = Survey(tokenizers.count, tokenizers.scorer)
    source = Source(sources, columns or {}, hub_config, hub_split, limit, rules=rules)
    for _ in survey.lengths(_rows(source, problems)):
        pass
    findings = [*problems, _rows_found(survey, len(sources), limit), *_rejected(survey)]
    if survey.usable:
        lengths = [one for one in _lengths(survey, tokenizers) if one.name != "scorer context" or not rules.logprobs]
        findings += [_shapes(survey), *_texts(survey), *_repeats(survey), *lengths]
    return DataDiagnosis(findings, _histogram(survey.tokens))


def _rows(source: Source, problems: list[Finding]) -> Iterator[tuple[Place, Shaped | RowError]]:
    def note(error: AsapError) -> None:
        problems.append(Finding("source", "fail", str(error), "`asap prune` stops here: correct this first"))

    try:
        for name, line, result in source.rows(note):
            yield Place(name, line), result
    except InputError as error:
        note(error)


def _rows_found(survey: Survey, sources: int, limit: int | None) -> Finding:
    found = f"{number_of(survey.rows, 'row')} in {number_of(sources, 'source')}"
    found += " (as many as --limit allows)" if survey.rows == limit else ""
    found += survey.of_conversations
    found += f", {number_of(survey.filtered, 'row')} beside them that --where leaves out" if survey.filtered else ""
    if not survey.usable:
        return Finding("rows", "fail", f"{found}, none usable", "there is nothing to prune: the next lines say what is wrong")
    if survey.unusable:
        return Finding("rows", "warn", f"{found}, {survey.usable:,} usable, {survey.unusable:,} rejected", _REJECTS)
    return Finding("rows", "ok", f"{found}, all usable")


def _shapes(survey: Survey) -> Finding:
    found = ", ".join(f"{shape} ({number_of(count, 'row')})" for shape, count in survey.shapes.most_common())
    if len(survey.shapes) > 1:
        return Finding("shape", "warn", found, "the rows differ in shape: make sure that they belong together")
    return Finding("shape", "ok", found)


def _rejected(survey: Survey) -> Iterator[Finding]:
    """The state of the think tags, then one finding per reason for a rejection, the most frequent first."""
    tags = [f"{survey.rejected[reason].count:,} {name}" for reason, name in _THINK_TAGS.items() if reason in survey.rejected]
    if survey.several_tags.count:
        advice = "with several tags the trace runs from the first opening to the last closing one: look at such a row"
        tags.append(f"{survey.several_tags.count:,} with several, first {survey.several_tags.first}")
        yield Finding("think tags", "warn", f"rows: {', '.join(tags)}", advice)
    elif tags:
        yield Finding("think tags", "warn", f"rows: {', '.join(tags)}", "the next lines say what to do about each")
    elif survey.usable:
        yield Finding("think tags", "ok", "one complete think part in every usable row")
    if (ordered := survey.other_tags_ordered).count:
        found = f"{_some(ordered, 'whose prompt orders other think tags than are written')}: {ordered.detail}"
        yield Finding("ordered tags", "warn", found, _ORDERED)
    for reason, cases in sorted(survey.rejected.items(), key=lambda item: -item[1].count):
        advice = _ADVICE.get(reason, "correct these rows, or leave them out")
        yield Finding(reason, "warn", f"{_some(cases)}: {shorten(cases.detail, _LONGEST_DETAIL, placeholder='…')}", advice)


def _texts(survey: Survey) -> Iterator[Finding]:
    if survey.no_code.count in (0, survey.usable):
        found = "every answer has a code block" if not survey.no_code.count else "no answer has a code block (as it should be for maths)"
        yield Finding("code blocks", "ok", found)
    else:
        advice = "if these are code tasks, look at them: an answer without a code block scores as wrong in most benchmarks"
        yield Finding("code blocks", "warn", _some(survey.no_code, "without a code block in the answer"), advice)
    if survey.open_fence.count:
        advice = "these answers were cut by a token limit or are badly formed: leave them out or generate them again"
        yield Finding("code fences", "warn", _some(survey.open_fence, "with a code fence that the answer never closes"), advice)
    if survey.loops.count:
        found = f"{_some(survey.loops, 'whose trace ends in a loop')}: {survey.loops.detail}"
        advice = "a model learns to repeat itself from them: `asap prune --reject-loops` leaves them out (docs/loops.md)"
        yield Finding("loops", "warn", found, advice)
    else:
        yield Finding("loops", "ok", "no trace ends in a loop")


def _repeats(survey: Survey) -> Iterator[Finding]:
    if placeholder := survey.questions.finding():
        advice = (
            "the question may stand in another column (--columns question=...), or in another data set, to be joined with this one first"
        )
        yield Finding("placeholder", "warn", placeholder, advice)
    rows, ids, questions = survey.copies, survey.same_ids, survey.same_questions
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


def _lengths(survey: Survey, tokenizers: Tokenizers) -> Iterator[Finding]:
    yield Finding("trace tokens", "ok", f"{_spread(survey.tokens)} ({tokenizers.name})")
    under = survey.up_to(BUDGET)
    found = f"{_share(under, survey.usable)} already within the default budget of {BUDGET:,} tokens"
    steps = sum(count * rows for count, rows in survey.steps.items())
    most = sum(most_unaligned(count, Align().coarse_share) * rows for count, rows in survey.steps.items())
    advice = (
        f"stage 2 leaves them as they are; stage 1 (align) may remove up to {most:,} of the {steps:,} steps of all traces, unless --coarse "
        "none: use a smaller --budget, or --ratio 0.5, to shorten them more"
    )
    yield Finding("budget", "warn", found, advice) if 2 * under > survey.usable else Finding("budget", "ok", found)
    yield _context(survey, tokenizers.scorer.context_tokens if tokenizers.scorer else None)
    if survey.long_steps.count:
        found = f"{_spread(survey.steps)}; {_some(survey.long_steps, f'of one step or with more than {LONG_STEP} tokens a step')}"
        yield Finding("steps", "warn", found, _step_advice(survey))
    else:
        yield Finding("steps", "ok", _spread(survey.steps))


def _step_advice(survey: Survey) -> str:
    """How to split traces that have few steps: at lines if these are short enough, else at sentences, if that gives more steps at all."""
    lines, sentences = survey.finer["line"], survey.finer["sentence"]
    steps, more = (sum(count * rows for count, rows in counts.items()) for counts in (lines, sentences))
    why = "whole steps are removed, and blank lines separate them, which these traces hardly have"
    if more == survey.long_steps.count:
        return f"{why}; nor have they lines or sentences, so they stay as they are"
    by_line = steps > survey.long_steps.count and (survey.long_steps_tokens <= _LINE_TOKENS * steps or steps == more)
    median = {how: f"{quantile(counts, 0.5):,}" for how, counts in survey.finer.items()}
    found = f"--step-split line makes {median['line']} steps of them in the median, sentence {median['sentence']}"
    apart = "" if 2 * survey.long_steps.count > survey.usable else "prune these rows apart and "
    return f"{why}: {apart}use --step-split {'line' if by_line else 'sentence'} ({found})"


def _context(survey: Survey, limit: int | None) -> Finding:
    if limit is None:
        found = "not checked: how much the scorer reads at once is not known"
        advice = "its configuration names no limit, or it could not be read (then a line above says why)"
        return Finding("scorer context", "warn", found, advice)
    if survey.beyond_context.count:
        advice = "they are scored in overlapping windows, where a step sees only what is near; a scorer with a longer context avoids it"
        found = _some(survey.beyond_context, f"longer than the {limit:,} tokens that the scorer reads at once")
        return Finding("scorer context", "warn", found, advice)
    return Finding("scorer context", "ok", f"every row fits into the {limit:,} tokens that the scorer reads at once")


def _histogram(tokens: Counter[int]) -> list[Bin]:
    """Bins from one power of two to the next, without gaps."""
    rows = Counter[int]()
    for length, count in tokens.items():
        rows[max(1, length).bit_length() - 1] += count
    exponents = range(min(rows), max(rows) + 1) if rows else range(0)
    return [Bin(1 << exponent, (2 << exponent) - 1, rows[exponent]) for exponent in exponents]


def _spread(counts: Counter[int]) -> str:
    return f"median {quantile(counts, 0.5):,}, p90 {quantile(counts, 0.9):,}, max {max(counts):,}"


def quantile(counts: Counter[int], share: float) -> int:
    """The smallest number that is at least as large as this share of all counted numbers."""
    return int(np.quantile(np.fromiter(counts.elements(), np.int64, counts.total()), share, method="inverted_cdf"))


def _some(cases: Cases, what: str = "") -> str:
    return f"{number_of(cases.count, 'row')}{' ' * bool(what)}{what}, first {cases.first}"


def _share(count: int, total: int) -> str:
    return f"{count:,} of {number_of(total, 'row')} ({count / total:.0%})"
