"""The anchor: a direct derivation of the answer, written by an LLM from the question and the answer alone (paper §3.2).

It guides what `rewrite` and `select` keep. The LLM writes it at T=0, top_p=1, and never sees the trace. If the answer contains a
program, the LLM sees only the program: the surrounding prose often explains the same thing again.

What this does not do: judge whether the answer is right, or run it.
"""

from asap.lm.generate import Request
from asap.prune.answer_code import program_of
from asap.prune.coarse.llm_reply import InvalidReply, enclosed, filled, prompt_file, without_delimiters
from asap.sample import Sample


def anchor_request(sample: Sample, max_tokens: int) -> Request:
    """The request for a sample's anchor. It leaves out the sample's system message."""
    texts = {"question": enclosed("question", sample.question), "answer": enclosed("answer", shown_answer(sample))}
    return Request([{"role": "user", "content": filled(prompt_file("anchor"), texts)}], max_tokens, temperature=0.0, kind="anchor")


def anchor_text(reply_text: str) -> str:
    """The anchor in a reply, without outer white space and echoed delimiter lines. Raises InvalidReply if nothing remains."""
    anchor = without_delimiters(reply_text).strip()
    if not anchor:
        raise InvalidReply("empty", "the anchor is empty")
    return anchor


def shortened(anchor: str, share: float) -> str:
    """About this share of an anchor, from its beginning, in whole lines where possible."""
    part = anchor[: max(1, int(len(anchor) * share))]
    lines, newline, _ = part.rpartition("\n")
    return (lines if newline and lines.strip() else part).rstrip()


def shown_answer(sample: Sample) -> str:
    """The part of the answer that the LLM sees: its program, if any, otherwise the whole answer."""
    program = program_of(sample)
    return sample.answer if program is None else program
