"""Where sentences end, by example; that nothing is lost is a property of the steps (test_steps.py)."""

import pytest

from asap.steps import split_steps


def sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in split_steps(text, "sentence")]


@pytest.mark.parametrize(
    "text",
    [
        "So it is 3.14. | Then 2.5 is less.",
        "Is it? | Yes! | Wait... | Maybe not.",
        "Hmm... wait, it is (so.) | \"Why?\" | 'Because.' | **Bold.** | `f(x)`. | Done",
        "E.g. this, i.e. That, cf. Fig. 2 and Eq. 3 by Dr. No. | No. | The end.",
        "It is 3. | Then the answer is B. | Next. | $x$ is it. | 4 is not. | - a dash",
        "The sum vs. The rest is 1 etc. | It is so.",
        "甲是乙。|乙是“丙”！|What? | 好。”|完",
        "One.  |Two.\t|Three.",
        "Now `x. Y` and $a. B$ and \\(c. D\\) cost $5. | That is $6. | OK.",
        "It goes on\nover lines. | New. \n|On a line.\n|1. First. | Then.\n|2) Second\n|- Third\nwith more",
        "So\n\n|end.\n|and so on:\n|then",
        "So:\n|\\[ a = b. \\\\\nThen c \\]\n|And $$ A. B\nC $$ end. | \\begin{align*} A. B\n\n\n C \\end{align*} is all.",
        "So: ```py\nx = 1. Y\n\nZ. A\n```\n|It is. | See `a`.\n|```\nA. B\n```",
        "e.g. It\r\nis. \r\n\r\n|Two.",
        "One.\u2028|Two\x85|Three\u2029|four.\u2028\u2028|Five goes\u2028on.\n\u2028|1. First. | Then.",
        "J. Smith said. | So.\n|A. One. | It.\n|iv. Four.",
    ],
)
def test_sentences_end_where_they_are_marked(text: str) -> None:
    parts = [part.strip(" \t") if number else part for number, part in enumerate(text.split("|"))]
    assert [part.strip() for part in sentences(text.replace("|", ""))] == [part.strip() for part in parts]


@pytest.mark.parametrize("piece", ["A. ", "\\[ A. ", "`a ", "$a. B", "\\begin{x} ", "a\nb. ", "。", "($$ x.) ", "``` ", "1. A\n"])
def test_megabytes_are_split(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    for how in ("line", "sentence"):
        spans = split_steps(text, how)
        assert (spans[0].start, spans[-1].end) == (0, len(text.rstrip("\n")))
