"""What stands for a generator of the other end of a link."""

from collections.abc import Callable, Generator
from types import GeneratorType
from typing import Any


class Stepper:
    """A generator of the other end, step by step."""

    def __init__(self, ask: Callable[..., Any], number: int) -> None:
        self.ask, self.number = ask, number
        self.closes = True

    def __iter__(self) -> "Stepper":
        return self

    def __next__(self) -> Any:
        return self.ask("special", target=self.number, name="__next__")

    def send(self, value: Any) -> Any:
        """The next value, after sending one."""
        return self.ask("special", target=self.number, name="send", args=(value,))

    def throw(self, error: BaseException) -> Any:
        """The next value, after raising an exception where it waits."""
        return self.ask("special", target=self.number, name="throw", args=(error,))

    def close(self) -> None:
        """End it."""
        if self.closes:
            self.ask("special", target=self.number, name="close")


def let_go(thing: Any) -> None:
    """The end of what stands for a generator is not the end of the generator."""
    if type(thing) is GeneratorType and isinstance(thing.gi_yieldfrom, Stepper):
        thing.gi_yieldfrom.closes = False


def stands_for(stepper: Stepper) -> Generator[Any, Any, Any]:
    """A generator that does what the other one does."""
    return (yield from stepper)
