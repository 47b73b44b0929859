"""Smaller budgets from one run are what a run with that budget would have given, token for token."""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from evaluate_helpers import DOUBLE, RIGHT, answer, benchmark, write

from asap.evaluate.attempt import Attempt
from asap.evaluate.judge import Judge
from asap.evaluate.ledger import Ledger
from asap.evaluate.reference import LimitSettings
from asap.evaluate.token_budgets import at_budget, budget_rows
from asap.lm.causal_lm import CausalLM
from asap.lm.generate import Request
from asap.lm.specs import load_tokens
from asap.lm.transformers import TransformersGenerator

if TYPE_CHECKING:
    from asap.sandbox import Sandbox


def attempt_of(written: SimpleNamespace) -> Attempt:
    return Attempt("double", 0, "generation", written.text, vars(written))


@pytest.mark.parametrize("name", ["plain", "thinking"])
def test_a_greedy_run_cut_short_is_the_run_with_the_smaller_budget(name: str, model_folders: dict[str, str]) -> None:
    lm = CausalLM(model_folders[name])
    model = TransformersGenerator(lm, measured=True)
    lm.tokens.hf.decode = lambda ids, **_: " ".join(f"w{token}" for token in ids)  # a text that is tokenised as it was written

    class Words:
        """Counts the words that the decoder above writes."""

        def encode(self, text: str) -> object:
            ends = [match for match in range(1, len(text) + 1) if match == len(text) or text[match] == " "]
            return type("Encoded", (), {"ends": ends})

    def run(budget: int) -> SimpleNamespace:
        return write(model, {"key": Request([{"role": "user", "content": "Double x."}], budget, 0.0)})["key"]

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
        rows = budget_rows(judge, benchmark(DOUBLE), lambda: [attempt], budgets, tokens, "last")
    assert [row["budget"] for row in rows] == sorted(budgets)
    assert [row["pass@1"] for row in rows] == [0.0, 0.0, 1.0, 1.0]
    assert [row["tokens_mean"] for row in rows] == [tokens.count(thought), measured["tokens"] - 1, measured["tokens"], measured["tokens"]]
    assert [row["budget_ran_out"] for row in rows] == [1, 1, 0, 0]
    assert rows[0]["request_s_mean"] < rows[1]["request_s_mean"] < rows[2]["request_s_mean"] == 10.0
