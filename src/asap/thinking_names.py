"""Thinking between tags or under headings that no table has, known by what they are called.

- A tag whose name means thinking: `<scratchpad>`, `<inner_monologue id="1">`, `<|thinking_start|>`, `[ANALYSIS]`, `<思考>`, with the
  closing tag of that name, such as `</scratchpad>`, `<|thinking_end|>`, `<|end_of_thought|>`.
- A line that announces thinking at the start of a text, and the line of the same kind that announces the answer: "Here is my thought
  process:" and "Here is my response:", `## Thinking` and `## Solution`, "Thought:" and "Answer:".
- Any other tag at the start of a text that is never closed, if prose follows: whether that is thinking is undecided.

What this does not do: the tags of `asap.think_tags`, which come first, and telling a tag that is used from one that is quoted.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache

from asap.spans import Span
from asap.think_tags import ATTRIBUTES, BEFORE, Tag, ThinkTags, match_at_start, widened

_STEMS = (
    "think|thought|reason|reflect|scratch|monolog|deliberat|contemplat|ponder|cogitat|brainstorm|ruminat|introspect|rationale|analy[sz]"
    "|inner[_-]?(?:voice|dialog|speech)|cot(?![^_:.-])|思|推理|分析|рассужд|размышл"
)
_MEANS_ANSWER = re.compile(
    "answer|solution|code|output|result|response|final|reply|python|program|implement|submi|patch|diff|file|content|function|assistant"
    "|complet|tool|artifact|text|message|script|module|class|snippet|exec|start|turn|doc|markdown|json|xml|root|conclusion|summary|without",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    "a|abbr|address|article|aside|audio|b|blockquote|body|br|button|canvas|caption|center|cite|col|data|dd|del|details|dfn|dialog|div"
    "|dl|dt|em|fieldset|figcaption|figure|font|footer|form|h1|h2|h3|h4|h5|h6|head|header|hr|html|i|iframe|img|input|ins|kbd|label"
    "|legend|li|link|main|map|mark|math|menu|meta|meter|nav|object|ol|option|p|param|picture|pre|progress|q|s|samp|section|select"
    "|small|source|span|strike|strong|style|sub|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|track|tt|u|ul"
    "|var|video|wbr|bos|eos|pad|unk|mask",
    re.IGNORECASE,
)
_NAME = r"[^\W\d_][\w:.▁-]{0,40}"
_PHRASE = r"(?:(?:my|the|inner|internal)[ ])?(?:thinking|thoughts?|reasoning)(?:[ ]process)?"
_THINKING_NAME = rf"(?:(?=[\w:.▁-]{{0,40}}?(?:{_STEMS})){_NAME}|{_PHRASE}(?=>))"
_NAMED = (
    rf"(?:<|&lt;|[＜⟨◁])[|｜]?[ \t]*+(?P<slash>/?)[ \t]*+[|｜]?(?P<name>{_THINKING_NAME}){ATTRIBUTES}[|｜]?(?:>|&gt;|[＞⟩▷])"
    rf"|\[(?P<square_slash>/?)(?P<square>(?=[A-Z_ -]{{0,40}}?(?:{_STEMS}))(?-i:[A-Z][A-Z_ -]{{1,40}}))\]"
)
_NAMED_ANYWHERE = re.compile(_NAMED, re.IGNORECASE)
_NAMED_AT_START = re.compile(BEFORE + f"(?P<tag>{_NAMED})", re.IGNORECASE)
_UNKNOWN_AT_START = re.compile(
    BEFORE + rf"<(?P<name>{_NAME}){ATTRIBUTES}>(?![ \t]+(?-i:[a-z])|[,.;:!?)\]|-])"
    r"(?!\s*(?:\Z|[<{`~@]|(?:async |def |class |import |print\(|from \S+ import |[\w.]+ *=|[\w.]+\()))",
    re.IGNORECASE,
)
_KEY = re.compile(r'\s*(?:```json\s*)?\{\s*"([^"\n]{1,40})"\s*:\s*["\[{]')
_NEXT_KEY = re.compile(r'["\]}]\s*,\s*"[^"\n]{1,40}"\s*:')
_TAG_END = re.compile(r"[|｜]?(?:>|&gt;|[＞⟩▷\]])\Z")
_BEGIN = re.compile(r"^(?:begin|start|open)(?:[_-]?of)?[_-]|[_-](?:begin|start|open)$", re.IGNORECASE)
_END = re.compile(r"^(?:end|close|stop)(?:[_-]?of)?[_-]|[_-](?:end|close|stop)$", re.IGNORECASE)

_HERE = r"(?:here(?:[’']s| is| are)|this is|below is)[ \t]+"
_MY = r"(?:(?:my|the|a)[ \t]+)?(?:(?:internal|inner|initial|detailed|full|final|step[ -]by[ -]step)[ \t]+)?"
_THINKING = r"(?:(?:thoughts?|thinking)(?:[ \t]+process)?|chain[ \t]+of[ \t]+thought|(?:internal|inner)[ \t]+monologue|scratch[ \t]?pad)"
_EDGE, _FAR_EDGE = r"(?![-*+•][ \t])[^\w\s]{1,12}[ \t]*+", r"[ \t]*+(?:[^\w\s]{1,12})?[ \t]*+(?=\n|\Z)"
_INSIDE = r"[^<>\n]{0,80}"
_LABEL, _LABELLED = r"(?:思考|推理)(?:过程)?", r"(?:最终)?(?:答案|回答|回复|解答|代码|实现|方案|结论|输出)\w{0,6}"
_REPLY = r"(?:answer|response|reply|solution)"
_HEADED = r"(?:answer|response|reply|solution|code|implementation)\b[^\n*]{0,40}"
_BOLD, _LINE_END = r"[*_]{1,3}", r"[*_]{0,3}[ \t]*(?=\n|\Z)"
_COLON = r"[*_]{0,3}[ \t]*:[*_]{0,3}"
_ANNOUNCEMENTS = tuple(
    (re.compile(rf"{BEFORE}(?P<tag>{opens})", re.IGNORECASE), re.compile(rf"^[ \t]*{closes}", re.IGNORECASE | re.MULTILINE))
    for opens, closes in (
        (rf"[*_]{{0,3}}{_HERE}{_MY}(?:{_THINKING}|reasoning(?:[ \t]+process)?){_COLON}", rf"[*_]{{0,3}}{_HERE}{_MY}{_REPLY}{_COLON}"),
        (rf"#{{1,6}}[ \t]*[*_]{{0,3}}{_MY}{_THINKING}:?{_LINE_END}", rf"#{{1,6}}[ \t]*[*_]{{0,3}}{_MY}{_HEADED}{_LINE_END}"),
        (rf"{_BOLD}{_MY}{_THINKING}:?{_BOLD}:?", rf"(?:#{{1,6}}[ \t]*)?{_BOLD}{_MY}{_HEADED}{_BOLD}:?"),
        (rf"(?:my[ \t]+)?{_THINKING}[ \t]*:", rf"[*_]{{0,3}}{_MY}{_REPLY}{_COLON}"),
        (r"thinking[ \t]*(?:\.{3}|…)[ \t]*(?=\n)", rf"(?:(?:\.{{3}}|…)[ \t]*)?done thinking\.?{_LINE_END}"),
        (rf"<details\b{_INSIDE}\b(?:{_STEMS}){_INSIDE}>", r"(?![ \t])[^\n]*?</details>"),
        (rf"<details\b{_INSIDE}>\s*<summary>{_INSIDE}(?:{_STEMS}){_INSIDE}</summary>", r"(?![ \t])[^\n]*?</details>"),
        (rf"<(?:div|section|aside|span)\b{_INSIDE}=[\"' ]?(?:{_STEMS}){_INSIDE}>", r"(?![ \t])[^\n]*?</(?:div|section|aside|span)>"),
        (rf"<!--[ \t]*{_MY}{_THINKING}[ \t]*(?=\n)", r"(?![ \t])[^\n]*?-->"),
        (rf"`{{3,}}[ \t]*(?:think|reasoning|{_THINKING})[ \t]*(?=\n)", r"`{3,}[ \t]*(?=\n|\Z)"),
        (rf"\[(?:(?:begin|start)[ \t]+)?{_THINKING}\]", rf"(?![ \t])[^\n]*?\[(?:/|end[ \t]+)[ \t]*{_THINKING}\]"),
        (
            rf"{_EDGE}(?:(?:begin|start)(?:[ \t]+of)?[ \t]+)?{_MY}(?:{_THINKING}|{_LABEL})[ \t]*+(?:\.{{3}}|…|[:：])?{_FAR_EDGE}",
            rf"{_EDGE}(?:(?:/|end|done|stop)(?:[ \t]+of)?[ \t]*{_MY}{_THINKING}|{_MY}{_HEADED}|{_LABELLED}){_FAR_EDGE}",
        ),
        (rf"【{_LABEL}】", rf"【{_LABELLED}】"),
        (rf"{_LABEL}[ \t]*[:：]", rf"{_LABELLED}[ \t]*[:：]"),
        (r"(?:think|thinking|thought)[ \t]*(?=\n)", r"(?:final[ \t]+)?(?:answer|response)[ \t]*(?=\n|\Z)"),
    )
)
"""How a text announces thinking at its start, and the answer in the same way at the start of a line."""


def named_tags(text: str, start: int = 0) -> Iterator[Tag]:
    """The tags of a text that are called thinking, from a character on, used or quoted."""
    for found in _NAMED_ANYWHERE.finditer(text, start):
        if tag := _tag(found, Span(*found.span())):
            yield tag


def named_at_start(text: str) -> Tag | None:
    """The opening tag called thinking that a text begins with."""
    found = match_at_start(text, _NAMED_AT_START)
    tag = _tag(found, widened(text, Span(*found.span("tag")))) if found else None
    return tag if tag and tag.opens else None


def opens_at_end(prompt: str) -> bool:
    """Whether a prompt ends with an opening tag called thinking."""
    end = len(prompt.rstrip())
    return any(tag.opens and tag.end == end for tag in named_tags(prompt, max(0, end - 200)))


def announced(text: str) -> tuple[Tag, Tag | None] | None:
    """The line at the start of a text that announces thinking, and the first one behind it that announces the answer."""
    for opens, closes in _ANNOUNCEMENTS:
        if found := opens.match(text):
            end = closes.search(text, found.end("tag"))
            row = ThinkTags("announced", found["tag"].strip(), end[0].strip() if end else "")
            return Tag(*found.span("tag"), row, True), Tag(*end.span(), row, False) if end else None
    return None


def means_thinking(name: str) -> bool:
    """Whether a tag or key of this name holds thinking."""
    return re.search(_STEMS, name, re.IGNORECASE) is not None and _MEANS_ANSWER.search(name) is None


def is_unfinished_json(text: str) -> bool:
    """Whether a text is JSON that begins with a value called thinking and was cut off in it."""
    found = _KEY.match(text)
    if found is None or not means_thinking(found[1]) or _NEXT_KEY.search(text, found.end()):
        return False
    try:
        json.JSONDecoder(strict=False).raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        return not text.rstrip().endswith("}")
    return False


def is_undecided(text: str) -> bool:
    """Whether a text begins with a tag of which nobody knows whether it means thinking: it is never closed, and prose follows."""
    found = _UNKNOWN_AT_START.match(text)
    if found is None or _MARKUP.fullmatch(found["name"]) or _MEANS_ANSWER.search(found["name"]):
        return False
    return re.search(rf"</[ \t]*{re.escape(found['name'])}[ \t]*>", text[found.end() :], re.IGNORECASE) is None


def _tag(found: re.Match[str], span: Span) -> Tag | None:
    name = found["name"] or found["square"]
    core = _END.sub("", _BEGIN.sub("", name.replace("▁", "_")))
    if _MEANS_ANSWER.search(core):
        return None
    slash = found["slash"] or found["square_slash"]
    closes = bool(slash or _END.search(name.replace("▁", "_")))
    written = found["tag"] if "tag" in found.re.groupindex else found[0]
    return Tag(*span, _row(core.lower(), written, name, closes), not closes)


@lru_cache(maxsize=256)
def _row(core: str, written: str, name: str, closes: bool) -> ThinkTags:
    """The row of a tag with a name, as it is written, and of its mate."""
    end = _TAG_END.search(written)
    tag = written[: written.index(name)] + name + (end[0] if end else "")  # without attributes
    mate = _mate(name, tag, closes)
    return ThinkTags(core, mate if closes else tag, tag if closes else mate)


def _mate(name: str, tag: str, closes: bool) -> str:
    """The other tag of a pair."""
    words = {"end": "begin", "close": "open", "stop": "start"} if closes else {"begin": "end", "start": "end", "open": "close"}
    for one, other in words.items():
        changed = re.sub(rf"(?<![a-zA-Z]){one}(?![a-zA-Z])", other, name)
        if changed != name:
            return tag.replace(name, changed, 1)
    return tag.replace("/", "", 1) if closes else tag.replace(name, f"/{name}", 1)
