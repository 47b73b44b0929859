"""What the golden runs' files may differ in, and nothing else: what is masked, how packed pages are read, how close numbers are.

VARIES differs from one run to the next on one machine; DEPENDS differs with the installed packages. Floating-point arithmetic
differs in its last digits from one kind of CPU to another: `difference` allows that and compares all other text exactly.
"""

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple


class Mask(NamedTuple):
    """Files whose text is masked, by their path; what in them, and what takes its place."""

    files: str
    pattern: str
    put: str


VARIES = (
    Mask("*", r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),  # the server of the test listens where there is a free port
    Mask("*", r"(sha256 of what stands above: )[0-9a-f]{16}", r"\1DIGEST"),  # a folder's name may stand there, which is another each time
    Mask("manifest.json", r'("seconds": \{)[^}]*\}', r"\1}"),
    Mask("steps.jsonl", r'("(?:seconds|peak_mib)": )[\d.]+', r"\1NUMBER"),
    Mask("train/said.txt", r"^\{'.*\n", ""),  # what TRL prints of each step, seconds among it
    Mask("*.html", r'("seconds":\{)[^}]*\}', r"\1}"),
    Mask("*.html", r'("ms":\[)[^]]*\]', r"\1]"),
    Mask("verdicts.jsonl", r'((?<!\{)"cpu_s": |"peak_mb": |"seconds": )[\d.e-]+', r"\1NUMBER"),
    Mask("verdicts.jsonl", r'("wall_s": )[\d.]++(?!, "memory_mb")', r"\1NUMBER"),  # that limit is set
    Mask("attempts.jsonl", r'("ttft_s": |"seconds": )[\d.e-]+', r"\1NUMBER"),
    Mask("summary.json", r'("(?:request_s_mean|request_s_median|ttft_s_median|batch_wall_s_per_sample)": )[\d.e-]+', r"\1NUMBER"),
    Mask("evaluate*/*", r"\| \d+\.\d\d (?=\|)", "| SECONDS "),  # only seconds have two decimals there
    Mask("compared.json", r'(?s)("seconds": \{)[^}]*\}', r"\1}"),
    Mask("said.txt", r"(\| seconds per answer) .*", r"\1"),
    Mask("doctor*/said.txt", r"(?s)^exit code.*?(?=^Data$)", ""),  # what this machine is like
    Mask("doctor*/said.txt", r"^\d+ things to look at.$", "… things to look at."),
    Mask("said.txt", r"^(seconds +).*$", r"\1…"),
    Mask("said.txt", r"^\d+/\d+ (?:traces|(?:rows )?judged).*\n(?=\d+/)", ""),  # a slow machine prints more lines of progress
    Mask("said.txt", r"[\d.]+ (?:s|min|h) left", "… left"),
    Mask("dry-run*/said.txt", r"^time: .*$", "time: …"),
    Mask("said.txt", r"[\d.]+ (?:rows/s|s a row)", "… rows/s"),
)
DEPENDS = (
    Mask("table.html", r"(?s)<style>.*?</style>", "<style></style>"),  # looks are looked at
    Mask("manifest.json", r'("versions": \{)[^}]*\}', r"\1}"),
    Mask("*", r'("asap": ?")[\d.]+"', r'\1VERSION"'),
    Mask("*", r'("(?:python|torch|transformers|tokenizers|numpy)": ?")[^"]*"', r'\1VERSION"'),
    Mask("*", r"\b(torch|transformers) \d[\w.+]*", r"\1 VERSION"),
    Mask("*", r'("revision": ?")[0-9a-f]{16}"', r'\1DIGEST"'),  # of the model's files: transformers writes its version into them
    Mask("*", r'("tokenizer": ?")[0-9a-f]{16}"', r'\1DIGEST"'),  # of the text that the package tokenizers makes of one
)
NOT_READ = (
    "*.sqlite*",  # its bytes depend on SQLite
    "*.png",  # its bytes depend on matplotlib and the fonts
    "runs/*/*",  # the folders of `asap prune` and `asap cut` in one of `asap compare`: other golden runs are of these
    "cut-to-*/README.md",  # as those of the other runs of `asap cut`
    "corpus-*/*",  # of rows that other files tell of
    "checkpoint-*/*",  # the trained model, as transformers writes it
    "train/*.bin",
    "train/*.safetensors",
    "train/*config.json",
    "train/tokenizer*",
    "train/chat_template.jinja",
)
_PACKED = re.compile(r'<script type="application/octet-stream" id="([^"]*)">([^<]*)</script>')
_UNPACKED = re.compile(r'<script id="[^"]*">\n(.*?)\n</script>', re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\w)")
_TABLES = (".md", ".csv", ".tex", ".html", ".txt")
_RELATIVE = 1e-5
_ABSOLUTE = 1e-4  # leave-one-out is a small difference of two sums near 1000


def masked(name: str, text: str, masks: Iterable[Mask]) -> str:
    """The text of a file without what the masks cover."""
    for mask in masks:
        if PurePath(name).match(mask.files):
            text = re.sub(mask.pattern, mask.put, text, flags=re.MULTILINE)
    return text


def unpacked(page: str) -> str:
    """A page of `asap review` or `asap report` with its packed data in readable lines: what zlib makes of it depends on zlib."""
    return _PACKED.sub(lambda found: f'<script id="{found[1]}">\n{_readable(zlib.decompress(base64.b64decode(found[2])))}\n</script>', page)


def data_of(page: str) -> str:
    """The data of an unpacked page, without its style and its script."""
    return "\n".join(_UNPACKED.findall(page)) + "\n"


def without_data(page: str) -> str:
    """The page without its data."""
    return _UNPACKED.sub("", page)


def _readable(data: bytes) -> str:
    if data[:1] in (b"{", b"["):
        return json.dumps(json.loads(data), ensure_ascii=False, separators=(", ", ":"))
    words = zip(struct.iter_unpack("<I", data), struct.iter_unpack("<f", data), strict=True)
    return " ".join(str(whole) if whole < 1 << 20 else f"{real:.9g}" for (whole,), (real,) in words)


def difference(name: str, expected: str, made: str) -> str | None:
    """Where the texts of a file first differ, for a message; None where they agree."""
    if expected == made:
        return None
    ours, theirs = _NUMBER.split(expected), _NUMBER.split(made)
    rounded_at = 2 if PurePath(name).suffix in _TABLES else 4
    for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other and not (place % 2 and _close(one, other, rounded_at)):
            before = "".join(ours[max(0, place - 12) : place])[-160:]
            wanted, got = ("".join(parts[place : place + 9])[:160] for parts in (ours, theirs))
            return f"after {before!r}\nexpected {wanted!r}\nbut got  {got!r}"
    return None if len(ours) == len(theirs) else f"{len(expected)} characters are expected, but it has {len(made)}"


def _close(one: str, other: str, rounded_at: int) -> bool:
    """Whether two numbers are the same but for rounding: whole ones never are, and rounded ones may end in another last digit."""
    if not all(set(number) & set(".e") for number in (one, other)):
        return False
    decimals = max(len(number.partition(".")[2]) for number in (one, other))
    last_place = 1.01 * 10**-decimals if decimals >= rounded_at else 0.0
    return abs(float(one) - float(other)) <= max(_RELATIVE * abs(float(one)), _ABSOLUTE, last_place)
