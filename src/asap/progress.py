"""Shows the progress of a run: a progress bar in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from asap.dataset import Shaped, render_row, row_line
from asap.events import DecidedRows, Listener, LlmProgress, MeasuringProgress
from asap.lm.spending import Amount, Estimate, Price, SpendingLimit
from asap.revealed import revealed

_HEARTBEAT_S = 15.0
_READING_EVERY = 1000


class Watcher(Listener):
    """Counts the progress of the current run, or of several in turn; the base of both displays. `whole_row`: show the first row's texts."""

    def __init__(self, console: Console, *, whole_row: bool = False) -> None:
        self.console = console
        self.whole_row = whole_row
        self._row_is_shown = False
        self.rows = self.rows_missing = self.bytes_missing = 0
        self.rows_done = self.bytes_done = self.tokens_before = self.tokens_after = 0
        self.started = time.monotonic()

    def first_row(self, shaped: Shaped) -> None:
        """Show how the first row was read, once."""
        if not self._row_is_shown:
            self._row_is_shown = True
            shown = f"{render_row(shaped)}\n" if self.whole_row else row_line(shaped)
            self.console.print(revealed(shown), markup=False, highlight=False, soft_wrap=True)

    def unchanged(self, rows: int) -> None:
        """Say that the source was not read again."""
        self.console.print(f"the source is unchanged: its {rows:,} rows were read before", highlight=False)

    def estimated(self, estimate: Estimate, spending: SpendingLimit) -> None:
        """Show what the LLM will cost."""
        for line in estimate_lines(estimate, spending.price):
            self.console.print(line, highlight=False, soft_wrap=True)

    def asking(self, rows: int) -> None:
        """Start counting the rows that the LLM is asked about."""
        self.rows_missing, self.started = rows, time.monotonic()

    def asked_state(self, asked: LlmProgress) -> str:
        """Time left, requests, tokens and dollars spent, and the number of rows that fell back."""
        elapsed = time.monotonic() - self.started
        left = elapsed * max(0, self.rows_missing - asked.rows) / max(1, asked.rows)
        cost = f", ${asked.cost:.4f}" if asked.cost is not None else ""
        fallbacks = f", {asked.fallbacks} without a usable reply" if asked.fallbacks else ""
        return f"{span(left)} left, {asked.requests:,} requests, {short(asked.tokens)} tokens{cost}{fallbacks}"

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        """Show the number of traces to score, and how many were done before."""
        self.rows, self.rows_missing, self.bytes_missing = rows, rows_missing, bytes_missing
        self.rows_done = self.bytes_done = self.tokens_before = self.tokens_after = 0
        self.started = time.monotonic()
        done = f" ({rows - rows_missing} of {rows} were done before)" if rows_missing < rows else ""
        self.console.print(f"{rows_missing} traces to score{done}", highlight=False)

    def decided(self, done: DecidedRows) -> None:
        """Add to the totals."""
        self.rows_done += done.rows
        self.bytes_done += done.size
        self.tokens_before += done.tokens_before
        self.tokens_after += done.tokens_after

    @property
    def rows_per_s(self) -> float:
        """Rows decided per second since scoring began."""
        return self.rows_done / max(1e-9, time.monotonic() - self.started)

    @property
    def left_s(self) -> float:
        """Seconds left, extrapolated from stored bytes instead of rows, since long traces take longer."""
        elapsed = time.monotonic() - self.started
        return elapsed * (self.bytes_missing - self.bytes_done) / self.bytes_done if self.bytes_done else float("nan")

    def state(self) -> str:
        """Time left, speed and tokens so far. The most important comes first: a narrow terminal cuts off the end."""
        share = f" ({self.tokens_after / self.tokens_before:.0%})" if self.tokens_before else ""
        tokens = f"tokens {short(self.tokens_before)} -> {short(self.tokens_after)}{share}"
        return f"{span(self.left_s)} left, {_rate(self.rows_per_s)}, {tokens}"

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None


def _rate(rows_per_s: float) -> str:
    """A speed in the unit that gives a number of some size."""
    return f"{rows_per_s:.2f} rows/s" if rows_per_s >= 1 or not rows_per_s else f"{1 / rows_per_s:.3g} s a row"


class Lines(Watcher):
    """Prints a plain line every 15 seconds, for logs."""

    _last = 0.0

    def asked(self, asked: LlmProgress) -> None:
        """Print a line now and then, and at the end."""
        now = time.monotonic()
        if now - self._last >= _HEARTBEAT_S or asked.rows == self.rows_missing:
            self._last = now
            self.console.print(
                f"{asked.rows}/{self.rows_missing} traces asked about, {self.asked_state(asked)}", highlight=False, soft_wrap=True
            )

    def decided(self, done: DecidedRows) -> None:
        """Add to the totals; print a line now and then, and at the end."""
        super().decided(done)
        now = time.monotonic()
        if now - self._last >= _HEARTBEAT_S or self.rows_done == self.rows_missing:
            self._last = now
            self.console.print(f"{self.rows_done}/{self.rows_missing} traces, {self.state()}", highlight=False, soft_wrap=True)


class Bar(Watcher):
    """Shows a progress bar with the tokens before and after, rows per second and the time left."""

    def __init__(self, console: Console, *, whole_row: bool = False) -> None:
        super().__init__(console, whole_row=whole_row)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[state]}"))
        self.progress = Progress(*columns, console=console, transient=True)
        self.task: TaskID | None = None

    def reading(self, rows: int) -> None:
        """Show the number of rows read."""
        if self.task is None:
            self.task = self.progress.add_task("reading", total=None, state="")
        if rows % _READING_EVERY == 0:
            self.progress.update(self.task, state=f"{rows:,} rows")

    def asking(self, rows: int) -> None:
        """Start a bar for the rows that the LLM is asked about."""
        super().asking(rows)
        self._switch("asking", total=rows)

    def asked(self, asked: LlmProgress) -> None:
        """Advance the bar."""
        if self.task is not None:
            self.progress.update(self.task, completed=asked.rows, state=f"{asked.rows}/{self.rows_missing}, {self.asked_state(asked)}")

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        """Start the bar."""
        super().scoring(rows, rows_missing, bytes_missing)
        self._switch("pruning", total=max(1, bytes_missing))

    def decided(self, done: DecidedRows) -> None:
        """Advance the bar."""
        super().decided(done)
        if self.task is not None:
            state = f"{self.rows_done}/{self.rows_missing}, {self.state()}"
            self.progress.update(self.task, completed=self.bytes_done, state=state)

    def writing(self) -> None:
        """Show that the files are being written."""
        self._switch("writing", total=None)

    def _switch(self, description: str, *, total: int | None) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task(description, total=total, state="")

    def __enter__(self) -> "Bar":
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.progress.stop()


def watcher(console: Console, *, whole_row: bool = False) -> Watcher:
    """A bar in a terminal that can move its cursor, lines elsewhere."""
    return (Bar if console.is_terminal and not console.is_dumb_terminal else Lines)(console, whole_row=whole_row)


def measuring(console: Console) -> Callable[[MeasuringProgress], None]:
    """A callback that prints the progress of measuring every 15 seconds and at the end."""
    started = last = time.monotonic()

    def on_progress(done: MeasuringProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _HEARTBEAT_S or done.row == done.rows:
            last = now
            left = span((now - started) * (done.rows - done.row) / done.row)
            text = f"{done.row}/{done.rows} rows judged, {left} left, {done.computed:,} verdicts made"
            console.print(text, highlight=False, soft_wrap=True)

    return on_progress


def estimate_lines(estimate: Estimate, price: Price | None) -> list[str]:
    """The estimated cost of the LLM as text: at least, as expected, at most."""
    if not estimate.rows:
        return ["nothing is left to ask the LLM"]

    def line(name: str, show: Callable[[Amount], str]) -> str:
        return f"  {name:<17} {show(estimate.low)} / {show(estimate.expected)} / {show(estimate.high)}"

    basis = f"as {estimate.rows_seen} rows showed" if estimate.rows_seen else "as assumed (--pilot 20 finds out)"
    counted = "" if estimate.exact else " (estimated: the LLM's tokenizer is not at hand, see --llm-tokenizer)"
    lines = [
        f"the LLM will be asked about {estimate.rows:,} traces; at least / {basis} / at most:",
        line("requests", lambda amount: f"{amount.requests:,.0f}"),
        line("prompt tokens", lambda amount: short(round(amount.prompt_tokens))) + counted,
        line("reply tokens", lambda amount: short(round(amount.completion_tokens))),
    ]
    if price:
        lines.append(
            line("US dollars", lambda amount: f"{amount.cost(price):,.2f}") + f" (at {price.input:g} in, {price.output:g} out per million)"
        )
    else:
        lines.append("  no price is known for this model: give --price-in and --price-out to see the cost")
    return lines


def short(count: int) -> str:
    """A readable count: 950, 12.3k, 4.56M."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g}{unit}" if count < 999.5 * size else f"{count / size:,.0f}{unit}"
    return str(count)


def span(seconds: float) -> str:
    """A readable time span: 45 s, 12 min, 3 h 20 min."""
    if seconds != seconds:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
