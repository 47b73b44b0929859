import pytest

from asap.errors import UsageError
from asap.sandbox import Sandbox

collect_ignore = ["attacks"]


@pytest.fixture(scope="session")
def sandbox():
    """A sandbox whose self-test has passed. No hostile program runs before that."""
    try:
        opened = Sandbox.open(workers=2)
    except UsageError as error:
        pytest.skip(f"NO HOSTILE PROGRAM IS TRIED HERE: {error}")
    with opened:
        yield opened
