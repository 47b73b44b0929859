"""Thinking and answer come apart and go together again, whichever tags of the table delimit them."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asap.errors import AsapError, RowError, UsageError
from asap.think import answer_starts, closes_unopened, head_of, opens_itself, own_frame, parts_of, split_think, strip_think
from asap.think_tags import (
    CLOSED,
    HARMONY_WORDS,
    IN_THINK,
    OPENED,
    TAGS,
    THINK,
    ThinkTags,
    closing_tag,
    frame_named,
    has_tag,
    opened_by,
    own_tags,
    table_with,
    unopened,
)
from asap.thinking_names import opens_at_end

tags = st.sampled_from([tag for row in TAGS for tag in (row.open, row.close, row.open_answer, row.close_answer) if tag])
pieces = st.sampled_from(["a", "<", "think>", "\n", "\r\n", " ", "\n\n"]) | st.text(max_size=3)
texts = st.lists(tags | pieces, max_size=12).map("".join)
untagged = st.lists(pieces, max_size=12).map("".join)  # seldom has a tag, from its pieces
prose = st.lists(
    st.sampled_from(
        ["Wait", ", ", "the <b> tag", ".\n", "\n\n", "`x` ", "it's", '"so"', "(1)", "\n```python\nx = 1\n```\n", "```\n", "So: ```\n"]
    ),
    max_size=8,
)
each_row = pytest.mark.parametrize("row", TAGS, ids=lambda row: row.name)
each_row_of_tags = pytest.mark.parametrize("row", [row for row in TAGS if row is not HARMONY_WORDS], ids=lambda row: row.name)

DRAFT = "```python\ndef inc(x):\n    return x + 2\n```\n"
CODE = "```python\ndef inc(x):\n    return x + 1\n```\n"


def plain(text: str) -> bool:
    """Whether an answer is nothing but an answer: not closing a thought, and not in tags of its own."""
    return closing_tag(text) is None and split_think(IN_THINK.join("", text)).answer == text


def tags_of(row: ThinkTags) -> list[str]:
    return [tag for tag in (row.open, row.close, row.open_answer, row.close_answer) if tag]


@given(texts, texts)
def test_what_was_put_together_comes_apart(cot: str, answer: str) -> None:
    """Whatever tags the trace holds, and though the answer opens a thought."""
    assume(plain(answer))
    assert split_think(IN_THINK.join(cot.strip("\r\n"), answer)) == (cot.strip("\r\n"), answer)


@given(texts, untagged)
def test_a_generation_and_a_reply_come_apart_at_the_same_place(cot: str, answer: str) -> None:
    assume(not has_tag(answer))
    response = IN_THINK.join(cot, answer)
    assert parts_of(response) == (f"{OPENED}{cot}\n", f"\n\n{answer}")
    assert answer_starts(response) == len(OPENED + cot) + len("\n</think>")
    assert strip_think(response, opened=False) == strip_think(response, opened=None) == answer.lstrip()
    if not has_tag(cot):
        assert strip_think(response.removeprefix(OPENED), opened=True) == answer.lstrip()


@each_row
@given(prose.map("".join), prose.map("".join))
def test_every_row_of_the_table_delimits(row: ThinkTags, cot: str, answer: str) -> None:
    cot, answer = f"A{cot.rstrip()}.", f"B{answer.rstrip()}."
    written, between = row.frame.join(cot, answer), row.frame.between.rpartition(row.open_answer or row.close)[2]
    assert split_think(written) == (cot, answer)
    assert split_think(written.replace("\n", "\r\n")).cot == cot.replace("\n", "\r\n")
    assert own_frame(written) == row.frame
    assert parts_of(written).answer == between + answer + row.frame.after.removesuffix(row.close_answer)
    if row is not HARMONY_WORDS:
        assert parts_of(written, opened=True) == parts_of(written)
        assert split_think(written.removeprefix(row.open)) == (cot, answer)
        assert closes_unopened(written.removeprefix(row.frame.before)) == row.open
    assert closes_unopened(written) is None
    assert opens_itself(written)


@each_row
@settings(max_examples=15)
@given(prose.map("".join))
def test_no_prefix_of_a_thought_holds_an_answer(row: ThinkTags, rest: str) -> None:
    """Wherever a token budget cuts, and though the draft in the thought is whole."""
    thought = f"{row.frame.before}Let me see.\n{DRAFT}But wait, {rest}"
    for end in range(len(row.open), len(thought) + 1):
        assert parts_of(thought[:end]).answer is None, thought[:end]
        assert strip_think(thought[:end], opened=None) == ""
    again = f"{row.frame.join('One.', 'Two.')}\n{thought}"
    if row is not HARMONY_WORDS:  # its words are told from others only where a text begins with them
        for end in range(len(again) - len(thought) + len(row.open), len(again) + 1):
            assert parts_of(again[:end]).answer is None, again[:end]


@given(prose.map("".join))
def test_no_prefix_of_a_thought_that_the_prompt_opened_holds_an_answer(rest: str) -> None:
    thought = f"Let me see.\n{DRAFT}But wait, {rest}"
    for end in range(len(thought) + 1):
        assert parts_of(thought[:end], opened=True) == (thought[:end], None)
        assert strip_think(thought[:end], opened=True) == ""


QUOTING = [
    "```python\ntag = '{0}'\n```\n",
    '```python\nimport re\nx = re.sub(r"{0}.*?{1}", "", text)\n```\n',
    '```python\nT = """\n{0}\nhm\n{1}\n"""\n```\n',
    '```python\ndef f():\n    """Takes what stands after {1} away."""\n```\n',
    "```\n{0}\nan example\n{1}\n```\nLike that.\n",
    "Use `{0}` and `{1}` for it.\n",
    "I took the {0} part away, and the {1} tag, too.\n",
    "Both tags ('{0}' and \"{1}\") are gone.\n",
    "- {0}: opens the thinking\n- {1}: closes it\n",
    "The text between **{0}** and **{1}** is dropped.\n",
    "Everything in {0}...{1} is dropped.\n",
    "| {0} | opens |\n| {1} | closes |\n",
]


@each_row_of_tags
@pytest.mark.parametrize("quoting", QUOTING)
@pytest.mark.parametrize("opened", [False, True])
def test_an_answer_that_quotes_the_tags_stays_an_answer(row: ThinkTags, quoting: str, opened: bool) -> None:
    said = quoting.format(row.open, row.close)
    for answer in (said + CODE, CODE + said, said + CODE + said):
        response = row.frame.join("Hm.", answer.rstrip())
        start = len(row.frame.before) if opened else 0
        found = parts_of(response[start:], opened=opened).answer
        assert found is not None
        assert found.strip().endswith(answer.strip() + row.frame.after.removesuffix(row.close_answer).rstrip())
        assert split_think(response) == ("Hm.", answer.rstrip())
        assert parts_of(answer) == (None, answer), "and without any thinking"


@each_row_of_tags
@pytest.mark.parametrize("quoting", QUOTING)
def test_a_thought_that_quotes_the_tags_goes_on(row: ThinkTags, quoting: str) -> None:
    thought = f"{row.frame.before}{quoting.format(row.open, row.close)}So:\n{DRAFT}But wait"
    assert parts_of(thought) == (thought, None)
    assert parts_of(thought.removeprefix(row.frame.before), opened=True).answer is None
    assert parts_of(f"{thought}{row.frame.between}{CODE}").answer == row.frame.between.rpartition(row.open_answer or row.close)[2] + CODE


@pytest.mark.parametrize("thought", ["```python\nx = 1", "```\nx = 1", "```python\nx = 1\n```", "~~~\nx", "a ``` b"])
@pytest.mark.parametrize("answer", [CODE, "```\nx = 2\n```\n", f"{CODE}\n```\n2\n```\n", "2"])
def test_a_fence_that_the_thinking_left_open_does_not_hide_its_end(thought: str, answer: str) -> None:
    assert parts_of(f"<think>\n{thought}\n</think>\n\n{answer}").answer == f"\n\n{answer}"
    assert split_think(f"<think>\n{thought}\n</think>\n\n{answer}") == (thought, answer.strip("\n"))


@pytest.mark.parametrize(
    "before",
    [
        "",
        "\n ",
        "\ufeff",
        "<|im_start|>assistant\n",
        "<｜Assistant｜>",
        "<s>",
        "assistant\n",
        "Assistant: ",
        "<|start|>assistant",
        "<bos>\n",
    ],
)
@each_row_of_tags
def test_a_role_and_special_tokens_may_stand_before_the_thinking(before: str, row: ThinkTags) -> None:
    assert split_think(f"{before}{row.frame.join('hm', 'yes')}") == ("hm", "yes")
    assert parts_of(f"{before}{row.frame.before}{DRAFT}").answer is None


@pytest.mark.parametrize("row", [row for row in TAGS if not row.opens], ids=lambda row: row.name)
def test_tags_are_found_in_any_case_and_with_blanks(row: ThinkTags) -> None:
    """And kept as they are spelled."""
    for change in (str.upper, str.title, lambda tag: re.sub(r"([\w:]+)", r" \1 ", tag)):
        opening, closing = change(row.open), change(row.close)
        text = f"{opening}\n{DRAFT}\n{closing}\n\nyes"
        assert split_think(text).answer == "yes"
        assert own_frame(text).before.strip() == opening
        assert own_frame(text).between.strip().startswith(closing)
        assert parts_of(f"{opening}{DRAFT}").answer is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("analysisWe need to.assistantfinalYes.", "Yes."),
        ("assistantanalysisWe need to.assistantfinalYes.", "Yes."),
        ("analysis We need to.assistantcommentaryI call.assistantfinalYes.", "Yes."),
        ("analysisWe need to.assistantcommentaryI call", None),
        ("analysisWe.assistantfinalYes.assistantanalysisWait", None),
        ("analysis of the question: yes.", "analysis of the question: yes."),
        ("analysis = 1\nprint(analysis)", "analysis = 1\nprint(analysis)"),
        ("Analysis\n\nyes", "Analysis\n\nyes"),
        ("It ends with assistantfinal, or not.", "It ends with assistantfinal, or not."),
        ("<|channel|>final<|message|>Yes.<|return|>", "Yes."),
        ("<|channel|>commentary<|message|>I call.<|end|>", None),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=f <|message|>{}<|call|>", None),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>```py\nx\n```<|return|>", "```py\nx\n```"),
        ("<|channel|>final<|message|>Yes.<|end|><|start|>assistant<|channel|>analysis<|message|>Wait", None),
        (
            "<|channel|>analysis<|message|>```py\nx\n```<|end|><|start|>assistant<|channel|>commentary<|message|>I write it."
            "<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
            "Yes.",
        ),
    ],
)
def test_harmony_answers_in_its_final_channel_only(text: str, answer: str | None) -> None:
    assert parts_of(text).answer == answer


def test_tags_of_ones_own_join_the_table() -> None:
    table = table_with("<zone>, </zone>")
    assert split_think("<zone>hm</Zone>yes", table) == ("hm", "yes")
    assert parts_of(f"<zone>\n{DRAFT}", table=table).answer is None
    assert parts_of(f"<zone>\n{DRAFT}").answer is not None
    assert split_think("Thought: hm\n\nAnswer: yes", table_with("Thought:,Answer:")) == (" hm", " yes")
    assert split_think("[THINK]hm[/THINK]yes", table) == ("hm", "yes")
    for wrong in ("", "<a>", "<a>,", ",<a>", "<a>,<b>,<c>", "<a>,<a>"):
        with pytest.raises(UsageError, match="--think-tags is"):
            own_tags(wrong)


def test_rows_are_named() -> None:
    assert [frame_named(row.name) for row in TAGS] == [row.frame for row in TAGS]
    assert frame_named("<a>,</a>") == ("<a>\n", "\n</a>\n\n", "")
    with pytest.raises(UsageError, match="keep, think, thinking, thought"):
        frame_named("thin")


@each_row_of_tags
def test_no_delimiter_is_part_of_another_one(row: ThinkTags) -> None:
    """Or the first one found would depend on the order of the table."""
    others = [tag for other in TAGS if other not in (row, HARMONY_WORDS) for tag in tags_of(other)]
    assert all(tag not in other for tag in tags_of(row) for other in others)
    assert len(set(tags_of(row))) == len(tags_of(row))


@settings(max_examples=40)
@given(texts, st.sampled_from([row for row in TAGS if row is not HARMONY_WORDS]))
def test_a_prompt_opens_the_thinking_at_its_end_or_not_at_all(text: str, row: ThinkTags) -> None:
    assert opened_by(text + OPENED) == THINK.open
    assert unopened(text + OPENED) == text
    assert opened_by(f"assistant\n{row.frame.before}") == row.open
    assert unopened(text) == text if not opened_by(text) else text.startswith(unopened(text) + opened_by(text))


@given(texts)
def test_a_text_that_begins_with_a_tag_closes_nothing_unopened(text: str) -> None:
    assert closes_unopened(OPENED + text) is None
    assert closes_unopened(f"hm{CLOSED}yes") == "<think>"
    assert head_of(OPENED + text) == OPENED
    assert head_of("<think>x") == head_of(f" {OPENED}") == ""


@pytest.mark.parametrize(
    ("text", "cot", "answer"),
    [
        ("<think>\na\n</think>\n\nb", "a", "b"),
        ("<think>a</think>b", "a", "b"),
        (" \n<think>a</think>b", "a", "b"),
        ("<think>\r\n  a  \r\n</think>\r\nb\r\n", "  a  ", "b"),
        ("<thinking>a</thinking>b", "a", "b"),
        ("<|begin_of_thought|>\n\na\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nb\n\n<|end_of_solution|>", "a", "b"),
        ("a\n</think>\n\nb", "a", "b"),
        ("a</thinking>b", "a", "b"),
        ("<think>a</think>b</think>c", "a</think>b", "c"),
        ("<think>a<think>b</think>c", "a<think>b", "c"),
        ("<think>a</think>\n<think>b</think>c", "a</think>\n<think>b", "c"),
        ("a</think>b</think>c", "a</think>b", "c"),
        ("<think></think>b", "", "b"),
        ("<think>a</think>", "a", ""),
        ("<think>a</think>the <|begin_of_solution|> tag", "a", "the <|begin_of_solution|> tag"),
        ("<think>\n\n    x = 1\n\n</think>\n\n    y", "    x = 1", "    y"),
    ],
    ids=repr,
)
def test_a_response_is_taken_apart(text: str, cot: str, answer: str) -> None:
    assert split_think(text) == (cot, answer)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_think"),
        ("just an answer", "no_think"),
        ("<think>a", "unclosed_think"),
        ("</think><think>a", "unclosed_think"),
        ("<|begin_of_thought|>a", "unclosed_think"),
        ("Sure! <think>a</think>b", "text_before_think"),
        ("a</think>b<think>c</think>d", "text_before_think"),
    ],
    ids=repr,
)
def test_a_response_without_one_complete_think_part_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason) as caught:
        split_think(text)
    assert caught.value.reason == reason
    assert isinstance(caught.value, AsapError)


@pytest.mark.parametrize(
    ("generation", "thinking", "answer"),
    [
        ("no thinking", None, "no thinking"),
        ("<think>\nhm\n</think>\n\nyes", "<think>\nhm\n", "\n\nyes"),
        ("hm\n</think>yes", "hm\n", "yes"),
        ("<think>one</think> two </think>three", "<think>one</think> two ", "three"),
        ("<think>hm", "<think>hm", None),
        ("Sure.\n<think>hm", "Sure.\n<think>hm", None),
        ("<think>a</think>b<think>c", "<think>a</think>b<think>c", None),
        ("", None, ""),
    ],
)
def test_the_answer_stands_after_the_last_closing_tag(generation: str, thinking: str | None, answer: str | None) -> None:
    assert parts_of(generation) == (thinking, answer)


@pytest.mark.parametrize(
    ("prompt", "text", "shown"),
    [
        ("assistant\n", "<think>\nhm\n</think>\n\n1, 2", "1, 2"),
        ("assistant\n<think>\n", "hm\n</think>\n\n1, 2", "1, 2"),
        ("assistant\n", "<think>\nhm", ""),
        ("assistant\n<think>\n", "hm", ""),
        ("assistant\n", "1, 2 </think> 3", "1, 2 </think> 3"),
        ("assistant\n<think>\n\n</think>\n\n", " 1, 2", " 1, 2"),
    ],
)
def test_thinking_is_dropped(prompt: str, text: str, shown: str) -> None:
    assert strip_think(text, opened=bool(opened_by(prompt))) == shown


def test_an_answer_that_is_one_answer_tag_loses_it_and_keeps_it_in_its_frame() -> None:
    response = "<think>a</think>\n<answer>It is `</b>`.\n\nYes.</answer>"
    assert split_think(response) == ("a", "It is `</b>`.\n\nYes.")
    frame = own_frame(response)
    assert frame.join("a", "b") == "<think>\na\n</think>\n\n<answer>\nb\n</answer>"
    assert split_think(frame.join("a", "b")) == ("a", "b")


@pytest.mark.parametrize(
    "answer", ["<answer>2", "So <answer>2</answer>", "<answer>1</answer> or <answer>2</answer>", "<answer>2</answer>!"]
)
def test_an_answer_with_answer_tags_inside_stays_as_it_is(answer: str) -> None:
    response = f"<think>\na\n</think>\n\n{answer}"
    assert split_think(response).answer == answer
    assert own_frame(response) == IN_THINK


THOUGHTS = [
    ("<think duration='3'>\n", "\n</think>\n"),
    ('<thinking a="1" b=2>', "</thinking>"),
    ("**<think>**\n", "\n**</think>**\n"),
    ("**<think>** Okay. ", "\n**</think>**\n"),
    ("# <think>\n", "\n</think>\n"),
    ("> <reasoning>\n", "\n</reasoning>\n"),
    ("<scratchpad>\n", "\n</scratchpad>\n"),
    ("**<scratchpad>**\n", "\n**</scratchpad>**\n"),
    ("<Reflection id='a'>", "</reflection>"),
    ("<inner-monologue>", "</inner-monologue>"),
    ("<my:chain_of_thought>", "</my:chain_of_thought>"),
    ("<analysis>\n", "\n</analysis>\n"),
    ("<|think|>", "<|/think|>"),
    ("<|thinking_start|>", "<|thinking_end|>"),
    ("<|begin_of_reasoning|>", "<|end_of_reasoning|>"),
    ("<|im_start|>assistant\n<start_of_analysis>", "<end_of_analysis>"),
    ("[ANALYSIS]\n", "\n[/ANALYSIS]\n"),
    ("&lt;think&gt;\n", "\n&lt;/think&gt;\n"),
    ("<\u601d\u8003>\n", "\n</\u601d\u8003>\n"),
    ("Sure, let me see.\n\n<scratchpad>\n", "\n</scratchpad>\n"),
    ("Here is my thought process:\n", "\n\nHere is my response:\n"),
    ("Here\u2019s my reasoning:\n", "\n**Here is my final answer:**\n"),
    ("## Thought process\n", "\n## Final code\n"),
    ("**Thinking:**\n", "\n**Solution**\n"),
    ("Thought: ", "\nAnswer: "),
    ("Thinking...\n", "\n...done thinking.\n"),
    ("<|im_start|>think\n", "\nanswer\n"),
    ("<\uff5cbegin\u2581of\u2581thinking\uff5c>", "<\uff5cend\u2581of\u2581thinking\uff5c>"),
    ("<Thought Process>\n", "\n</Thought Process>\n"),
    ('<details type="reasoning" done="true">\n', "\n</details>\n"),
    ("<details>\n<summary>Thought for 3 seconds</summary>\n", "\n</details>\n"),
    ('<div class="thinking-box">\n', "\n</div>\n"),
    ("<!-- thinking\n", "\n-->\n"),
    ("<!-- thinking -->\n", "\n<!-- answer -->\n"),
    ("[Start thinking]\n", "\n[End thinking]\n\n"),
    ("[thinking]", "[/thinking]"),
    ("=== THINKING ===\n", "\n=== ANSWER ===\n"),
    ("\U0001f4ad Thinking...\n", "\n\U0001f4ad Answer:\n"),
    ("\u3010\u601d\u8003\u3011", "\n\u3010\u56de\u7b54\u3011"),
    ("\u601d\u8003\u8fc7\u7a0b\uff1a\n", "\n\u7b54\u6848\uff1a\n"),
]
"""Of no row of the table, or written otherwise than there."""


@pytest.mark.parametrize(("opening", "closing"), THOUGHTS)
@pytest.mark.parametrize("thought", [f"Let me see.\n{DRAFT}But wait, that is", f"{DRAFT}Hm", f"1. A list.\n{DRAFT}"])
def test_no_prefix_of_a_thought_called_so_holds_an_answer(opening: str, closing: str, thought: str) -> None:
    written = f"{opening}{thought}"
    for end in range(len(opening), len(written) + 1):
        assert parts_of(written[:end]) == (written[:end], None)
    whole = f"{written}.{closing}The code:\n{CODE}Done."
    assert (parts_of(whole).answer or "").strip() == f"The code:\n{CODE}Done."
    if not opening.startswith("Sure"):
        assert split_think(whole).answer.strip() == f"The code:\n{CODE}Done."
        assert split_think(own_frame(whole).join("hm", "yes")) == ("hm", "yes")
        assert strip_think(whole, opened=None).rstrip() == f"The code:\n{CODE}Done."


@pytest.mark.parametrize("name", ["foo", "mindspace", "plan", "my_draft", "work x='1'"])
def test_no_prefix_within_an_unknown_tag_at_the_start_holds_an_answer(name: str) -> None:
    thought = f"<{name}>\nFirst this:\n{DRAFT}But wait"
    for end in range(len(name) + 4, len(thought) + 1):
        assert parts_of(thought[:end]).answer is None
    closed = f"{thought}</{name.split()[0]}>\n{CODE}"
    assert parts_of(closed) == (None, closed), "nobody knows what it encloses, but the last code counts"


def test_a_prompt_may_open_a_thought_that_no_table_has() -> None:
    assert opens_at_end("<|assistant|>\n<scratchpad>\n")
    assert not opens_at_end("<|assistant|>\n<scratchpad></scratchpad>\n")
    thought = f"Let me see.\n{DRAFT}It is a <reflection>no</reflection>. Wait"
    assert parts_of(thought, opened=True) == (thought, None)
    assert parts_of(f"{thought}\n</scratchpad>\n{CODE}", opened=True).answer == f"\n{CODE}"
    assert parts_of(f"{thought}\n</scratchpad>\n{CODE}").answer == f"\n{CODE}"


PLAIN_NAMES = re.findall(
    r"\w+", "answer code html output solution python final_answer response p div table file patch svg xml tool_call final_thoughts"
)


@pytest.mark.parametrize(
    "answer",
    [
        *(f"<{name}>\nHere it is.\n{CODE}{end}" for name in PLAIN_NAMES for end in ("", f"</{name}>")),
        *(f"{opening.strip()} is what I strip.\n{CODE}" for opening, _ in THOUGHTS[2:3] + THOUGHTS[7:8]),
        *(f"{before}I use `<scratchpad>` and **<analysis>**.\n{CODE}" for before in ("", f"{CODE}\n<foo>\n")),
        f"<lambda> functions are short.\n{CODE}",
        f"<foo>\n{CODE}",
        f"<s>The code:\n{CODE}",
        f"<|python_tag|>{CODE}",
        f"<details>\n<summary>The code</summary>\n\n{CODE}</details>",
        f'<div class="box">\n{CODE}</div>',
        f"[1] thinking helps.\n{CODE}",
        f"- Thinking\n- Coding\n\n{CODE}",
        f'{{"analysis": "Add one."}}\n{CODE}',
        f'{{"thoughts": ["a", "b"]}}\n\n{CODE}',
        f"--- code ---\n{CODE}",
        f"{CODE}\n<analysis>\nIt is O(1).\n</analysis>",
        f"{CODE}\n<analysis>\nIt is O(1).",
        f"<answer>\n{CODE}</answer>\n<rationale>It adds.</rationale>",
        "```python\ntag = '<scratchpad>'\n```\n",
        '```python\nT = """\n<scratchpad>\n"""\n```\n',
        f"Reasoning: it adds one.\n{CODE}",
        f"**Analysis**\n\nIt adds one.\n{CODE}",
        f"I was thinking: add one.\n{CODE}",
        f"# <think> tags are stripped\n{CODE}",
    ],
)
def test_markup_and_quoted_names_stay_answers(answer: str) -> None:
    assert parts_of(answer) == (None, answer)
    assert parts_of(f"<think>hm</think>{answer}").answer == answer


@pytest.mark.parametrize("value", ['"Let me see.\\n', '"Let me see.\n', '["First, ', '{"step": "'])
def test_no_prefix_of_a_thought_in_json_holds_an_answer(value: str) -> None:
    thought = f'{{"reasoning": {value}{DRAFT}But wait'
    for end in range(len('{"reasoning": "'), len(thought) + 1):
        assert parts_of(thought[:end]).answer is None
    whole = f'{{"reasoning": "hm", "code": "{DRAFT}"}}'
    assert parts_of(whole) == (None, whole)


@pytest.mark.parametrize("piece", ["<div =think ", "<details a=think ", '{"', "=== ", "\u601d\u8003"])
def test_no_heading_takes_long(piece: str) -> None:
    for text in (piece * 20_000, piece + " " * 300_000 + "x", f"=== thinking ===\n{piece}{' ' * 300_000}"):
        parts_of(text)


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "< ",
        "<think ",
        "<think a=1 ",
        "<scratchpad>",
        "Thinking...\n  ",
        " ",
        "\n",
        "**",
        "[A",
        "&lt;",
        "think\n",
        "a. ",
        "```\nx </think>\n```\n",
    ],
)
def test_megabytes_are_split(piece: str) -> None:
    for text in (piece * (50_000 // len(piece)), piece + " " * 300_000 + "x", f"Thinking...\n{piece}{' ' * 300_000}"):
        for opened in (False, True):
            assert text.endswith(parts_of(text, opened=opened).answer or "")
