"""Every hostile program ends in one of its right verdicts, every honest one passes, and nothing outside notices either."""

import pytest
from attack_driver import Watch, problems_with
from sandbox_helpers import ATTACKS, header

FILES = sorted(ATTACKS.glob("*.py"))
SLOW = {file.name for file in FILES if header(file, "category") == "hang"} - {"a37_infinite_loop.py", "a38_sleep_forever.py"}


@pytest.fixture(scope="module")
def watch():
    watch = Watch()
    yield watch
    watch.close()


def test_the_collection_is_whole():
    assert len(FILES) == 78


@pytest.mark.parametrize(
    "file", [pytest.param(file, marks=pytest.mark.slow) if file.name in SLOW else file for file in FILES], ids=lambda file: file.stem
)
def test_attack(sandbox, watch, file):
    assert problems_with(sandbox, file, watch) == []
