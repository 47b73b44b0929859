"""The methods by name. Step-level methods score each step; the lowest-scored step is removed first (`asap.prune.fine.removal`).

`asap` is the paper's. The others are its rivals and controls; they have no stage 1. Most read the whole trace once, with
the question before it, and differ only in how they combine the log-probabilities and entropies of a step's tokens.
`alignment` reads the trace twice; `spirit` and `leave-one-out` read the text after each step once more without it; `cut-after-answer`
and `coverage` read the answer behind each step.

| method | a step's score | source |
|---|---|---|
| asap | surprisal of its first token | the paper, Eq. 2 |
| first-token-entropy | entropy of the prediction of its first token | the paper, Eq. 1 |
| mean-surprisal | mean surprisal of its tokens | the perplexity of the step, in a logarithm |
| step-entropy | sum of the entropies of the predictions of its tokens | arXiv:2508.03346 (which marks a gap by [SKIP]; here it is closed) |
| alignment | how much the answer makes its tokens likelier, per token | ours: stage 1's `align` as the only score |
| spirit | perplexity of the trace without it (mean surprisal) | arXiv:2502.13260, as the paper describes its variant |
| leave-one-out | how much less likely the answer is without it, in nats | the idea of PIR, arXiv:2505.19187 |
| cut-after-answer | its position, negated behind the step that finds the answer | the idea of STOP, arXiv:2605.13165 |
| coverage | its place in a greedy choice, negated | ours; passed a held-out test on maths at half of the tokens: docs/results/held_out.md |
| random | a draw from seed and content | control |
| random-block | nearness to a place drawn from seed and content: one run of steps stays | control: arXiv:2609.25039 compares with it |
| keep-head, keep-tail | its position: the end is removed first, or the start | control: truncation by whole steps |
| keep-ends | its distance in tokens from the middle of the trace | control: E-SFT, arXiv:2609.07103, keeps both ends |
| longest-first | its length in tokens, negated | control |
| functional-first | a draw; steps that verify, try another way or correct go first | control: the classes of PIR, arXiv:2505.19187 |
| original | nothing is removed | the paper's ablation without both stages |

These cut inside steps (`asap.prune.token_level`), in units smaller than a step.

| method | removed first | source |
|---|---|---|
| selective-context | phrases, sentences or tokens of low self-information | arXiv:2310.06201 |
| llmlingua2 | words that a trained classifier would drop | arXiv:2403.12968 |
| tokenskip | the same, down to a share that each row draws | arXiv:2502.12067 |

`package.module:function` names a method of your own: a function from `Steps` to one score for each step (docs/methods.md).
"""

from dataclasses import is_dataclass

from asap.errors import UsageError, unknown
from asap.prune.coarse.align import alignment
from asap.prune.methods.after_answer import cut_after_answer
from asap.prune.methods.controls import functional_first, keep_ends, keep_head, keep_tail, longest_first, random_block, random_draw
from asap.prune.methods.coverage import answer_coverage
from asap.prune.methods.from_one_pass import first_token_entropy, first_token_surprisal, mean_surprisal, step_entropy
from asap.prune.methods.llmlingua2 import LLMLingua2
from asap.prune.methods.method import Method, StepMethod, alignment_reads, nothing, one_pass, prefix_reads
from asap.prune.methods.own import own_method
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.methods.spirit import Spirit, leave_one_out, leave_one_out_reads
from asap.prune.methods.tokenskip import TokenSkip

_STEP_METHODS: tuple[StepMethod, ...] = (
    Method("asap", first_token_surprisal, one_pass),
    Method("first-token-entropy", first_token_entropy, one_pass, entropies=True),
    Method("mean-surprisal", mean_surprisal, one_pass),
    Method("step-entropy", step_entropy, one_pass, entropies=True),
    Method("alignment", alignment, alignment_reads),
    Spirit(),
    Method("leave-one-out", leave_one_out, leave_one_out_reads),
    Method("cut-after-answer", cut_after_answer, prefix_reads),
    Method("coverage", answer_coverage, prefix_reads),
    Method("random", random_draw, nothing),
    Method("random-block", random_block, nothing),
    Method("keep-head", keep_head, nothing),
    Method("keep-tail", keep_tail, nothing),
    Method("keep-ends", keep_ends, nothing),
    Method("longest-first", longest_first, nothing),
    Method("functional-first", functional_first, nothing),
    Method("original", keep_head, nothing),
)
METHODS = {method.name: method for method in _STEP_METHODS}
TokenLevelMethod = SelectiveContext | LLMLingua2 | TokenSkip
TOKEN_LEVEL: dict[str, TokenLevelMethod] = {method.name: method for method in (SelectiveContext(), LLMLingua2(), TokenSkip())}

RECORDS = tuple(type(method) for method in (*METHODS.values(), *TOKEN_LEVEL.values()) if is_dataclass(method))
"""The methods that have settings of their own."""


def check_method(name: str) -> None:
    """Raise UsageError for a method that a run cannot be cut again by: it is not one of asap's."""
    if name not in (*METHODS, *TOKEN_LEVEL):
        raise UsageError(unknown("method", name, METHODS))


def method_named(name: str) -> StepMethod | TokenLevelMethod:
    """The method with this name, or the user's own as `package.module:function`. Raises UsageError if it does not exist."""
    if ":" in name:
        return own_method(name)
    known = {**METHODS, **TOKEN_LEVEL}
    if name not in known:
        raise UsageError(f"{unknown('method', name, known)}, or write package.module:function")
    return known[name]
