"""The scripts of the pages: modules that are put into one scope, where a second definition of a name would replace the first unnoticed."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.resources import files

import pytest

from asap.page.html import Assets
from asap.report.page import REPORT
from asap.review.page import REVIEW

PAGES = {"review": REVIEW, "report": REPORT}
_DEFINED = re.compile(r"^(?:export )?(?:(?:async )?function\*? ?|class |(?:const|let|var) )(\w+|[{\[][^}\]]*[}\]] =)", re.MULTILINE)
_IMPORT = re.compile(r"^import \{([^}]*)\} from \"([^\"]+)\";$", re.MULTILINE)


def defined(text: str) -> list[str]:
    """The names that a module defines at its top level, those of a destructuring too."""
    return [name for found in _DEFINED.findall(text) for name in (re.findall(r"(\w+)(?=[,\s\]}]|$)(?! *:)", found))]


def wrong(sources: Mapping[str, str]) -> Iterator[str]:
    """What would not survive that these modules are put together in this order."""
    names = {module: defined(text) for module, text in sources.items()}
    for name, count in Counter(name for found in names.values() for name in found).items():
        if count > 1:
            yield f"{name} is defined in {' and '.join(module for module, found in names.items() for each in found if each == name)}"
    for module, text in sources.items():
        imports = _IMPORT.findall(text)
        if len(imports) != len(re.findall(r"^import\b", text, re.MULTILINE)):
            yield f'{module} has an import of another form than import {{ a, b }} from "./c.js";'
        for wanted, place in imports:
            other = place.rpartition("/")[2]
            for name in filter(None, map(str.strip, wanted.split(","))):
                if name not in names.get(other, ()):
                    yield f"{module} imports {name} from {place}, which does not define it on this page"


def page_names(assets: Assets) -> set[str]:
    return {path.name for package in (assets.package, "asap.page") for path in files(package).iterdir() if path.name.endswith(".js")}


@pytest.mark.parametrize("assets", PAGES.values(), ids=PAGES)
def test_modules_in_one_scope_do_not_meet(assets: Assets) -> None:
    assert list(wrong(assets.sources())) == []
    assert page_names(assets) == {*assets.sources()}, "a module that no page has"


def test_the_page_of_a_comparison_has_no_script() -> None:
    assert "<script" not in files("asap.compare").joinpath("page.html").read_text("utf-8")


@pytest.mark.parametrize(
    "second",
    [
        "function twice() {}",
        "export function twice(a) {}",
        "async function twice() {}",
        "export async function* twice() {}",
        "const twice = 1;",
        "export let twice = 1;",
        "class twice {}",
        "const { one, twice } = f();",
        "const [twice, other] = f();",
    ],
)
def test_a_planted_second_definition_is_found(second: str) -> None:
    assert list(wrong({"a.js": "export function twice() {}\n", "b.js": f"const own = 1;\n{second}\n"})) == [
        "twice is defined in a.js and b.js"
    ]
    assert list(wrong({"a.js": "export function twice() {\n  const own = 2;\n}\n", "b.js": "const own = 1;\n"})) == []


def test_planted_imports_are_found() -> None:
    apart = {"a.js": "export const a = 1;\n"}
    assert list(wrong({**apart, "b.js": 'import { a } from "../page/a.js";\n'})) == []
    assert "imports c from ../page/a.js" in next(wrong({**apart, "b.js": 'import { c } from "../page/a.js";\n'}))
    assert "another form" in next(wrong({**apart, "b.js": 'import * as all from "./a.js";\n'}))
    assert "imports a as b" in next(wrong({**apart, "b.js": 'import { a as b } from "./a.js";\n'}))
