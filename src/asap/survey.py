"""What a run would have to do, counted without a scorer: `asap prune --dry-run`."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from asap.asking import LlmOptions, LlmPass
from asap.dataset.source import Source
from asap.listener import Listener
from asap.lm.generate import Generator
from asap.lm.replies import FILE as REPLIES
from asap.lm.replies import Replies
from asap.lm.tokens import TokenCounter
from asap.prune.fine import token_budget
from asap.prune.method import Size
from asap.prune.reading import tokens_read
from asap.prune.settings import AsapSettings
from asap.run import read_into
from asap.steps import split_steps
from asap.store.work import Store


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
    asks: tuple[Generator, LlmOptions, Path | None] | None = None,
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
            llm, options, folder = asks
            keeps = folder is not None and (options.pilot or (folder / REPLIES).is_file())
            with Replies.open(folder if folder and keeps else scratch, also=options.replies_from) as replies:
                LlmPass(store, llm, settings, replies, options, listener).pilot()
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
