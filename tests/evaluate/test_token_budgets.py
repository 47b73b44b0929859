"""Smaller budgets from one run are what a run with that budget would have given, token for token."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from evaluate_helpers import DOUBLE, RIGHT, answer, benchmark

from asap.evaluate.attempt import Attempt
from asap.evaluate.judge import Judge
from asap.evaluate.ledger import Ledger
from asap.evaluate.local import LocalModel
from asap.evaluate.reference import LimitSettings
from asap.evaluate.token_budgets import at_budget, budget_rows
from asap.evaluate.writing import Ask, Settings, Written
from asap.lm.specs import load_tokens

if TYPE_CHECKING:
    from asap.sandbox import Sandbox


def attempt_of(written: Written) -> Attempt:
    return Attempt("double", 0, "generation", written.text, written.as_row())


@pytest.mark.parametrize("name", ["plain", "thinking"])
def test_a_greedy_run_cut_short_is_the_run_with_the_smaller_budget(name: str, model_folders: dict[str, str]) -> None:
    folder = model_folders[name]
    model = LocalModel(folder, spec=f"hf:{folder}", concurrency=1)
    model._tokens.hf.decode = lambda ids, **_: " ".join(f"w{token}" for token in ids)  # a text that is tokenised as it was written

    class Words:
        """Counts the words that the decoder above writes."""

        def encode(self, text: str) -> object:
            ends = [match for match in range(1, len(text) + 1) if match == len(text) or text[match] == " "]
            return type("Encoded", (), {"ends": ends})

    def run(budget: int) -> Written:
        found = list[Written]()
        ask = Ask("key", [{"role": "user", "content": "Double x."}], 0)
        asyncio.run(model.write([ask], Settings(budget), lambda ask, written: found.append(written)))
        return found[0]

    largest = attempt_of(run(40))
    for budget in (1, 2, 7, 39, 40):
        smaller, cut = run(budget), at_budget(largest, budget, Words())  # type: ignore[arg-type]
        assert (cut.text, cut.measured["tokens"], cut.measured["stopped_by"]) == (smaller.text, smaller.tokens, smaller.stopped_by)
        assert cut.measured["seconds"] <= largest.measured["seconds"]


def test_figures_by_budget(tmp_path: Path, sandbox: "Sandbox", model_folders: dict[str, str]) -> None:
    tokens = load_tokens(model_folders["plain"])
    thought, said = "hm, let me think about it.\n</think>\n\n", answer(RIGHT["double"])
    measured = {"tokens": tokens.count(thought + said), "seconds": 10.0, "ttft_s": 1.0, "stopped_by": "stop", "opened": True}
    attempt = Attempt("double", 0, "generation", "<think>\n" + thought + said, measured)
    budgets = [measured["tokens"] - 1, tokens.count(thought), measured["tokens"], 10_000]
    with Ledger.open(tmp_path) as ledger:
        judge = Judge(sandbox, ledger, LimitSettings(), 1)
        rows = budget_rows(judge, benchmark(DOUBLE), [attempt], budgets, tokens, "last")
    assert [row["budget"] for row in rows] == sorted(budgets)
    assert [row["pass@1"] for row in rows] == [0.0, 0.0, 1.0, 1.0]
    assert [row["tokens_mean"] for row in rows] == [tokens.count(thought), measured["tokens"] - 1, measured["tokens"], measured["tokens"]]
    assert [row["budget_ran_out"] for row in rows] == [1, 1, 0, 0]
    assert rows[0]["request_s_mean"] < rows[1]["request_s_mean"] < rows[2]["request_s_mean"] == 10.0
