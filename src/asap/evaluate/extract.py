"""From what a model wrote to the program that is judged: the answer after the thinking, its code, and what goes before it.

Our rule reads fences as CommonMark and `asap.fences` do. LiveCodeBench's own is what its runner does with the answers of chat models
since its commit 28fef95: the lines between the last two that contain three backticks, whatever these are.
"""

import html
import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import Literal, NamedTuple

from asap.benchmarks.problem import Calls, GoldResult, Problem, Program, ResultRule
from asap.errors import UsageError
from asap.evaluate.continuation import continuation
from asap.evaluate.packed import is_json_object, packed_in
from asap.fences import CodeBlock, blocks, longer_block, unclosed_block
from asap.python_code import defines, is_aside, is_program, is_python, mended, parsed, with_definitions
from asap.think import parts_of, without_later_thoughts
from asap.think_tags import TAGS, TagTable

Extract = Literal["benchmark", "last", "first", "longest", "livecodebench"]
EXTRACTS: tuple[Extract, ...] = ("benchmark", "last", "first", "longest", "livecodebench")

_FUTURE = re.compile(r"^from __future__ import .*\n?", re.MULTILINE)
_IMPORTED = re.compile(r"^[ \t]*from solution import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)
_HTML = re.compile(r"<code[^>]*>(.*?)</code>", re.DOTALL | re.IGNORECASE)
_CODE_START = re.compile(
    r"^[ \t]*(?:@\w|(?:async )?def \w|class \w|import \w|from [\w.]+ import |[\w.]+(?:, *\w+)* *[-+*/|&]?= ?\S|print\(|#!?[ \w]"
    r"|(?:if|for|while|with) .*:|try:|\"\"\"|'''|>>> )",
    re.MULTILINE,
)
_TAG = r"(?:</?\w[^<>\n]*>|<[|｜][^<>\n]*[|｜]>|\[/?[A-Z]+\])"
_BREAK = re.compile(rf"\n(?=[ \t\r]*(?:\n|{_TAG})|[A-Z][\w'’]* [a-z])|`{{3,}}|~{{3,}}")
_END_TOKEN = re.compile(_TAG)
_REST = re.compile(r"\A(?:(?:[`~].*|[ \t\r]*)(?:\n|\Z))+")  # a fence's line and blank ones
_MARKDOWN = ("md", "markdown")
_NO_LANGUAGE = (
    *("text", "txt", "plain", "plaintext", "code", "tool_code", "program", "solution", "jupyter", "notebook"),
    *("{code}", "{code-cell}", "{code-block}"),  # of MyST, without the name of a language
    *("cython", "pyx", "sage"),  # which Python is a part of
)
_READS = re.compile(r"(?<![.\w])input\(|\bstdin\b|\bopen\(0")
_INTERPRETER = re.compile(r"(?:\{code[\w-]*\}\s*)?(?:ipython|pycon|pypy)", re.IGNORECASE)
_PACKED = ("json", "json5", "jsonc", "diff", "patch", "udiff")
_FENCE_LINE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})", re.MULTILINE)
_COMPARED = 100  # programs of an answer, with each other: the last ones
_TRIED_FENCES = 16  # inside a docstring, as the end of its block
_TRIED_STARTS, _TRIED_ENDS = 8, 32  # of a program among prose
_TRIED = 1_000_000  # characters in all


class _Code(NamedTuple):
    """Code of an answer: whether it is named Python, and whether a fence closes it."""

    text: str
    is_named: bool
    is_closed: bool


def rule_of(problem: Problem, extract: Extract) -> Literal["asap", "livecodebench"] | ResultRule:
    """The name of the rule by which code, or a result, is taken from an answer to a problem. Raises UsageError for an unknown choice."""
    if extract not in EXTRACTS:
        raise UsageError(f"--extract is {extract!r}; write one of: {', '.join(EXTRACTS)}")
    if isinstance(problem.check, GoldResult):
        return problem.check.rule
    return "livecodebench" if extract == "livecodebench" or (extract == "benchmark" and problem.extraction == "livecodebench") else "asap"


def whole_program(
    problem: Problem,
    kind: str,
    text: str,
    extract: Extract = "benchmark",
    *,
    cut_off: bool = False,
    opened: bool = False,
    table: TagTable = TAGS,
) -> str | None:
    """The whole program of an attempt: a `solution` as it is, a `completion` behind the prompt, the code of a `generation`, which may be
    a completion, too.

    None where a generation holds no answer; `cut_off` says that its token budget ran out, `opened` that its prompt ends with an opened
    thought. Raises UsageError for a completion of a problem that has nothing to continue.
    """
    if kind == "completion":
        if problem.prompt is None:
            raise UsageError(f"{problem.task_id} has no prompt that a completion could continue; give a solution or a generation")
        return problem.prompt + text
    if kind == "solution":
        return with_header(problem.header, text)
    rule, answer = rule_of(problem, extract), parts_of(text, opened=opened, table=table).answer
    if answer is None:
        return None
    answer = without_later_thoughts(answer)
    if rule == "livecodebench":
        code = between_last_fences(answer)
    else:
        names = wanted_names(problem)
        code = code_of(answer, "last" if extract == "benchmark" else extract, names, cut_off=cut_off)
        if problem.prompt and (rest := continuation(problem.prompt, answer, code, names)) is not None:
            return problem.prompt + rest
    return None if code is None else with_header(problem.header, code)


def between_last_fences(answer: str) -> str | None:
    """The code of an answer by LiveCodeBench's rule; None where fewer than two lines contain three backticks."""
    lines = answer.split("\n")
    fences = [number for number, line in enumerate(lines) if "```" in line]
    return "\n".join(lines[fences[-2] + 1 : fences[-1]]) if len(fences) > 1 else None


def wanted_names(problem: Problem) -> list[str]:
    """The names that the tests of a problem use from the solution, as far as the problem tells; none for a program that reads stdin."""
    check = problem.check
    if isinstance(check, (Calls, Program)) and check.entry_point:
        return re.findall(r"\w+", check.entry_point)[:1]
    imported = _IMPORTED.findall(check.source) if isinstance(check, Program) else []
    return [name for names in imported for name in re.findall(r"(\w+)(?:\s+as\s+\w+)?", names)]


def code_of(answer: str, extract: Extract = "last", names: Sequence[str] = (), *, cut_off: bool = False) -> str | None:
    """The code of an answer by our rule, or None where it holds none.

    `last` takes the last block that defines one of `names`, or any, and is no example or excerpt of an earlier one, and puts those
    definitions of earlier blocks before it that it reads; `first` and `longest` take that block as it is. Blocks that are named
    Python come before those without a language, closed ones before one that is never closed, unless they are programs that define one
    of the names or, without names, read standard input; others do not count. Without any
    block, the part of the answer that is a program counts. Of an answer that was `cut_off`, only closed blocks do.
    """
    found = [] if is_json_object(answer) else [*_fenced_codes(answer, names, cut_off)]
    if not found:
        others, packed = [*_other_codes(answer, names, cut_off)], [*_packed_codes(answer, names)]
        found = packed or others if answer.lstrip().startswith(("{", "[")) else others or packed
    named = [code for code in found if code.is_named or _fits(code, names)] or found
    if extract in ("first", "longest"):
        texts = [code.text for code in named if code.is_closed] or [code.text for code in named]
        return (max(texts, key=len) if extract == "longest" else texts[0]) if texts else None
    ranked = _without_asides(([code for code in found if defines(code.text, names)] or named)[-_COMPARED:])
    if not ranked:
        return None
    chosen = max(reversed(ranked), key=lambda code: _rank(code, names))
    earlier = takewhile(lambda code: code is not chosen, found)
    return with_definitions(chosen.text, [code.text for code in earlier], names)


def _rank(code: _Code, names: Sequence[str]) -> tuple[bool, bool, bool]:
    """How well code fits; what is a program and surely the one that is asked for, fits whatever its fences are."""
    fits = _fits(code, names)
    return code.is_named or fits, code.is_closed or fits, code.is_named or is_program(code.text)


def _fits(code: _Code, names: Sequence[str]) -> bool:
    """Whether code is a program that defines one of the names or, if nothing is named, reads standard input."""
    return (defines(code.text, names) if names else _READS.search(code.text) is not None) and is_program(code.text)


def _without_asides(codes: Sequence[_Code]) -> list[_Code]:
    return [code for place, code in enumerate(codes) if not any(is_aside(code.text, earlier.text) for earlier in codes[:place])]


def _fenced_codes(answer: str, names: Sequence[str], cut_off: bool) -> Iterator[_Code]:
    """The code in the closed blocks that are named Python or nothing, and a program in a last block that is never closed."""
    end = 0
    for block in blocks(answer):
        if block.start < end or not (_may_be_python(block) or block.info.lower() in _MARKDOWN):
            continue
        whole = _beyond_docstring(answer, block)
        end = whole.end
        if "```" in whole.code and parsed(whole.code) is None and (inner := [*_fenced_codes(whole.code, names, cut_off=True)]):
            yield from inner  # Markdown within Markdown
        elif packed := [] if block.info else _unpacked(whole.code, names):
            yield from packed
        elif block.info.lower() not in _MARKDOWN:
            yield _Code(mended(whole.code), _is_named(block.info), is_closed=True)
    last = None if cut_off else unclosed_block(answer)
    if last and last.start >= end and (not last.info or _is_named(last.info)) and (program := _program_in(last.code, names)):
        yield _Code(program, _is_named(last.info), is_closed=False)


def _is_named(info: str) -> bool:
    return is_python(info) or _INTERPRETER.match(info) is not None or info.partition(" ")[0].endswith(".py")


def _may_be_python(block: CodeBlock) -> bool:
    info = block.info.lower()
    return not info or _is_named(info) or (info in _NO_LANGUAGE and is_program(mended(block.code)))


def _packed_codes(answer: str, names: Sequence[str]) -> Iterator[_Code]:
    """The programs in the JSON and the diffs of an answer, which are in code blocks, or all of the answer if it has none."""
    found = [] if is_json_object(answer) else blocks(answer)
    for text in [block.code for block in found if block.info.lower() in _PACKED] if found else [answer]:
        yield from _unpacked(text, names)


def _unpacked(text: str, names: Sequence[str]) -> list[_Code]:
    """The programs in a text that is JSON or a diff."""
    codes = (code_of(packed, names=names) if "```" in packed else mended(packed) for packed in packed_in(text))
    return [_Code(code, is_named=False, is_closed=True) for code in codes if code is not None]


def _beyond_docstring(answer: str, block: CodeBlock) -> CodeBlock:
    """The block, up to the first later fence with which its code parses if the one at its end stands in an open docstring."""
    if (block.code.count('"""') % 2 or block.code.count("'''") % 2) and parsed(block.code) is None:
        for fence in islice(_FENCE_LINE.finditer(answer, block.end), _TRIED_FENCES):
            longer = longer_block(answer, block, fence.start())
            if parsed(mended(longer.code)) is not None:
                return longer
    return block


def _other_codes(answer: str, names: Sequence[str], cut_off: bool) -> Iterator[_Code]:
    """The programs of an answer without code blocks: in HTML, or among prose."""
    if blocks(answer):
        return
    for found in _HTML.finditer(answer):
        text = mended(html.unescape(found[1]).strip("\r\n"))
        if is_program(text):
            yield _Code(text, is_named=False, is_closed=True)
    program = None if cut_off else _program_in(answer, names)
    if program is not None:
        yield _Code(program, is_named=False, is_closed=False)


def _without_end_tokens(text: str) -> str:
    """A text without the tags at its end and the white space around them, in time linear in the text."""
    end = kept = len(text)
    while True:  # ends: each round takes a tag off
        while end and text[end - 1].isspace():
            end -= 1
        start = text.rfind("<" if text[end - 1 : end] == ">" else "[", 0, end)
        if start < 0 or not _END_TOKEN.fullmatch(text, start, end):
            return text[: end if kept < len(text) else kept]
        end = kept = start


def _program_in(text: str, names: Sequence[str]) -> str | None:
    """The first part of a text that is a program and defines one of the names, if there are any; None without one.

    It begins with a line of code and ends at the end of the text, or at a fence or a blank line that no further code follows: the
    rest of a program that is broken off or wrong is not left out.
    """
    text, tried = _without_end_tokens(text), 0
    if names and not any(name in text for name in names):
        return None
    for start in islice(_CODE_START.finditer(text), _TRIED_STARTS):
        ends = [len(text), *reversed([found.start() for found in _BREAK.finditer(text, start.end())])]
        for end in ends[:_TRIED_ENDS]:
            tried += end - start.start()
            if tried > _TRIED:
                return None
            part, rest = mended(text[start.start() : end]), _REST.sub("", text[end:])
            if rest[:1].isspace() or _CODE_START.match(rest):
                break  # it goes on
            if (not names or defines(part, names)) and is_program(part):
                return part
    return None


def with_header(header: str, program: str) -> str:
    """A program with a header before it; `from __future__` imports stay the first of all."""
    if not header:
        return program
    futures = "".join(line.rstrip("\n") + "\n" for line in _FUTURE.findall(program))
    return f"{futures}{header}\n{_FUTURE.sub('', program) if futures else program}"
